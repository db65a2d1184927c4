import { isoTime } from '../clock.ts';
import { admissionText, type DrillAdmission, drillSubnetOf } from '../model/drill-place.ts';
import type { HealthCheck, Scenario } from '../model/scenario.ts';
import type { Verdict } from '../model/verdict.ts';
import type { RunRecord } from '../plan/plan.ts';
import type { PriceTable } from '../verify/prices.ts';
import { type DrillFailure, failureIn, outcomeOf } from './drill-attempt.ts';
import { type DrillCost, drillCost } from './drill-cost.ts';
import { drillWork } from './drill-work.ts';
import { healthTitle } from './health.ts';
import type { Refusal } from './ladder.ts';
import { CHECK_ISOLATION } from './steps/check-isolation.ts';
import { CREATE_VIRTUAL_MACHINE, type MadeMachine } from './steps/create-virtual-machine.ts';
import { DECLARE_DRILLED, type DrillOutcome } from './steps/declare-drilled.ts';
import { type Evidence, KEEP_EVIDENCE } from './steps/keep-evidence.ts';
import { MAKE_DRILL_NETWORK, type MadeDrillNetwork } from './steps/make-drill-network.ts';
import { PATCH_REPLICA, type Patched } from './steps/patch-replica.ts';
import { type BootProof, PROVE_BOOT } from './steps/prove-boot.ts';
import {
  type NothingRemains,
  PROVE_NOTHING_REMAINS,
  REMOVE_DRILL,
  type RemovedDrill,
} from './steps/remove-drill.ts';
import { type Held, RELEASE_REPLICA, STILL_REPLICA } from './steps/still-replica.ts';
import { VERIFY_SCENARIO, type Verified } from './steps/verify-scenario.ts';
import { WATCH_CONSOLE, type Watched } from './steps/watch-console.ts';
import type { Work } from './work.ts';

/** How a drill went; JSON as it stands. Made of the run's record alone, so it can be made again and is the same. */
export interface DrillReport {
  readonly format: 'standby-drill-report/1';
  readonly scenario: { readonly id: string; readonly name: string };
  readonly runId: string;
  readonly outcome: DrillOutcome;
  readonly failure?: DrillFailure;
  /** Failed, and no step did: what the boot proof found. */
  readonly cause?: string;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly totalMs: number;
  readonly steps: readonly {
    readonly id: string;
    readonly title: string;
    readonly state: 'done' | 'failed' | 'left out' | 'not done';
    readonly ms?: number;
  }[];
  /** What the drill's disks held. */
  readonly position?: {
    readonly epoch: number;
    readonly sequence?: string;
    /** Live, once something changed: by the master's clock. Else: when both ends were found equal. */
    readonly at: string;
    readonly ageSeconds: number;
  };
  /** How long the replica stood still, and whether it did until all snapshots were complete. */
  readonly hold?: { readonly ms: number; readonly lasted: boolean; readonly why?: string };
  /** What leaves and enters it, in words. */
  readonly network: string;
  /** What the drill's own security group let in. */
  readonly admitted?: DrillAdmission;
  readonly vm?: {
    readonly name: string;
    readonly size: string;
    readonly zone?: string;
    readonly region: string;
    readonly refused?: readonly Refusal[];
  };
  /** What the snapshots have otherwise than the replica so that they start in Azure, and what could not be given to them. */
  readonly patch?: Pick<Patched, 'changes' | 'left' | 'leftOut'>;
  /** What the checks found before it, except what is right. */
  readonly findings: readonly Verdict[];
  readonly boot?: {
    readonly outcome: BootProof['outcome'];
    readonly bootMs: number;
    readonly verdicts: readonly Verdict[];
  };
  readonly evidence: Evidence;
  readonly removal:
    | {
        readonly state: 'proven';
        readonly at: string;
        readonly removed: readonly string[];
        readonly askedFor: readonly string[];
        readonly notOurs: readonly string[];
      }
    | { readonly state: 'kept'; readonly until: string };
  readonly cost: DrillCost;
  /** Of report.json of the drill before this one of the same scenario; absent in the first. */
  readonly previousSha256?: string;
}

export interface DrillReportFacts {
  readonly work: Work;
  readonly run: RunRecord;
  readonly prices: PriceTable;
  readonly keptUntilMs?: number;
  readonly previousSha256?: string;
}

export function drillReport({
  work,
  run,
  prices,
  keptUntilMs,
  previousSha256,
}: DrillReportFacts): DrillReport {
  const { scenario } = work;
  const drilled = drillWork(work);
  const outputs = new Map(run.steps.map((step) => [step.stepId, step.output]));
  const out = <Out extends object>(id: string) => outcomeOf<Out>(outputs.get(id));
  const failure = failureIn(run.steps.map((step) => step.output));
  const boot = out<BootProof>(PROVE_BOOT);
  const steps = run.steps.filter((step) => step.stepId !== DECLARE_DRILLED);
  const startedAtMs = Math.min(...steps.flatMap((step) => step.startedAtMs ?? []));
  const endedAtMs = Math.max(...steps.flatMap((step) => step.endedAtMs ?? []));
  const machine = out<MadeMachine>(CREATE_VIRTUAL_MACHINE);
  const patch = out<Patched>(PATCH_REPLICA);
  const proof = boot && proofOf(scenario, boot, out<Watched>(WATCH_CONSOLE)?.verdicts ?? []);
  return {
    format: 'standby-drill-report/1',
    scenario: { id: scenario.id, name: scenario.name },
    runId: run.id,
    outcome: outcomeOfDrill(failure, proof),
    ...(failure ? { failure } : causeOf(proof)),
    startedAt: isoTime(startedAtMs),
    endedAt: isoTime(endedAtMs),
    totalMs: endedAtMs - startedAtMs,
    steps: steps.map(({ stepId: id, title, startedAtMs: from, endedAtMs: to, output }) => ({
      id,
      title,
      state: stateOf(output, to),
      ...(from === undefined || to === undefined ? {} : { ms: to - from }),
    })),
    ...positionOf(out<Held>(STILL_REPLICA)),
    ...holdOf(run),
    ...networkOf(scenario, out(CHECK_ISOLATION), out(MAKE_DRILL_NETWORK)),
    ...(machine ? { vm: vmOf(drilled.scenario, machine) } : {}),
    ...(patch ? { patch: patchOf(patch) } : {}),
    findings: (out<Verified>(VERIFY_SCENARIO)?.verdicts ?? []).filter((one) => one.status !== 'ok'),
    ...(proof ? { boot: { outcome: proof.outcome, bootMs: proof.bootMs, verdicts: proof.verdicts } } : {}),
    evidence: out<Evidence>(KEEP_EVIDENCE) ?? { without: 'the drill did not come so far' },
    removal: removalOf(out(REMOVE_DRILL), out(PROVE_NOTHING_REMAINS), keptUntilMs),
    cost: drillCost({ scenario: drilled.scenario, inventory: work.inventory, runId: run.id }, run, prices),
    ...(previousSha256 === undefined ? {} : { previousSha256 }),
  };
}

/** What was seen first, and what the console told after that; a guest that lived for a moment has not booted. */
function proofOf(scenario: Scenario, boot: BootProof, watched: readonly Verdict[]): BootProof {
  const hasFailed = watched.some((one) => one.status === 'error');
  return {
    ...boot,
    outcome: hasFailed ? 'failed-but-accepted' : boot.outcome,
    verdicts: [...boot.verdicts, ...watched, ...notAsked(scenario)],
  };
}

/** Only what was seen counts. */
function outcomeOfDrill(failure: DrillFailure | undefined, boot: BootProof | undefined): DrillOutcome {
  if (failure || !boot || boot.outcome === 'failed-but-accepted') return 'failed';
  return boot.outcome === 'proven' ? 'passed' : boot.outcome;
}

function causeOf(boot: BootProof | undefined): Pick<DrillReport, 'cause'> {
  const bad = boot?.verdicts.find((one) => one.status === 'error');
  return bad ? { cause: `${bad.title}: ${bad.found}` } : {};
}

function stateOf(output: unknown, endedAtMs: number | undefined): DrillReport['steps'][number]['state'] {
  if (endedAtMs === undefined) return 'not done';
  if (failureIn([output])) return 'failed';
  return outcomeOf(output ?? {}) ? 'done' : 'left out';
}

function positionOf(held: Held | undefined): Pick<DrillReport, 'position'> {
  if (!held) return {};
  // Until its first change a live replica is what both ends agreed on.
  const atMs = held.position?.timeMs || held.synchronisedAtMs;
  return {
    position: {
      epoch: held.epoch,
      ...(held.position ? { sequence: held.position.sequence } : {}),
      at: isoTime(atMs),
      ageSeconds: Math.max(0, Math.round((held.atMs - atMs) / 1000)),
    },
  };
}

function holdOf(run: RunRecord): Pick<DrillReport, 'hold'> {
  const begun = run.steps.find((step) => step.stepId === STILL_REPLICA);
  const ended = run.steps.find((step) => step.stepId === RELEASE_REPLICA);
  const released = ended?.output as { held: boolean; why?: string } | undefined;
  if (!outcomeOf(begun?.output) || !released || !ended?.endedAtMs || !begun?.endedAtMs) return {};
  const { held: lasted, why } = released;
  return { hold: { ms: ended.endedAtMs - begun.endedAtMs, lasted, ...(why === undefined ? {} : { why }) } };
}

function vmOf(scenario: Scenario, { size, zone, refused }: MadeMachine): NonNullable<DrillReport['vm']> {
  return {
    name: scenario.vm.name,
    size: size ?? scenario.vm.size,
    ...(zone === undefined ? {} : { zone }),
    region: scenario.region,
    ...(refused ? { refused } : {}),
  };
}

/** What was really made, or found isolated; not what was meant. */
function networkOf(
  scenario: Scenario,
  isolated: object | undefined,
  made: MadeDrillNetwork | undefined,
): Pick<DrillReport, 'network' | 'admitted'> {
  if (drillSubnetOf(scenario))
    return {
      network: `the subnet for drills${isolated ? ': no rule lets anything leave it' : ', which nothing was started in'}`,
    };
  if (!made) return { network: 'none: the drill did not come so far' };
  const { admitted } = made;
  if (!admitted) return { network: 'made for this drill: nothing leaves it and nothing enters it' };
  return {
    network: `made for this drill: nothing leaves it, and only ${admissionText(admitted)} enters it`,
    admitted,
  };
}

function patchOf({ changes, left, leftOut }: Patched): NonNullable<DrillReport['patch']> {
  return { changes, left, ...(leftOut === undefined ? {} : { leftOut }) };
}

/** In a network that nothing enters nobody can be asked; that is said, and is no pass. */
function notAsked({ drill, healthChecks, name }: Scenario): readonly Verdict[] {
  if (drill) return [];
  const found = 'not asked: nothing enters the network that the drill made for itself';
  return healthChecks.map((check: HealthCheck) => ({
    code: 'HEALTH_NOT_ASKED',
    status: 'skipped',
    title: healthTitle(check),
    found,
    next: `Say who may ask: standby drill ${name} --ask-from ADDRESS; or name a subnet for drills that control reaches.`,
  }));
}

function removalOf(
  removed: RemovedDrill | undefined,
  proof: NothingRemains | undefined,
  keptUntilMs: number | undefined,
): DrillReport['removal'] {
  if (keptUntilMs !== undefined) return { state: 'kept', until: isoTime(keptUntilMs) };
  if (!removed || !proof) throw new RangeError('a drill is reported on when its removal is proven');
  return {
    state: 'proven',
    at: isoTime(proof.atMs),
    removed: removed.ids,
    askedFor: proof.names,
    notOurs: removed.notOurs,
  };
}

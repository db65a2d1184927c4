/**
 * Promises an honest answer to "does it live?": power state, signs of life on the serial console, and the health
 * checks that the scenario names. Only looks, so a resumed run looks again. `skipped` is never `passed`: where no
 * guest runs, or a guest is silent and no health check is named, it says that nothing was proven. Evidence of a
 * failed boot or a health check without its answer stops the switchover before its commit point.
 */
import { isStandbyError, StandbyError } from '../../errors.ts';
import type { HealthCheck } from '../../model/scenario.ts';
import type { Verdict } from '../../model/verdict.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import { NO_GUEST_LINE } from '../../ports/cloud-machines.ts';
import { askHealth, healthTitle } from '../health.ts';
import { readSerialSigns } from '../serial-console.ts';
import { patienceOf, type Work } from '../work.ts';
import { type Running, WAIT_RUNNING } from './wait-running.ts';

export const PROVE_BOOT = 'prove-boot';
const POLL_MS = 1000;
const POLL_MS_MAX = 5000;
const ANSWER_MS = 5000;

export interface BootProof {
  readonly outcome: 'proven' | 'not-proven' | 'skipped' | 'failed-but-accepted';
  readonly verdicts: readonly Verdict[];
  /** From `running` to the last sign that was waited for. */
  readonly bootMs: number;
  /** Where it was looked for: the primary NIC's public address, else its private one. */
  readonly address?: string;
  /** Of a standby that existed before this run: every NIC's, as Azure tells them now. */
  readonly addresses?: readonly NicAddresses[];
}

export interface NicAddresses {
  readonly masterNicId: string;
  readonly privateIp?: string;
  readonly publicIp?: string;
}

export interface ProofOptions {
  /** Where control reaches the standby's primary NIC; undefined when it has no address. */
  addressOf(context: StepContext): Promise<string | undefined>;
  /** For a standby that this run did not make; of one that it made, its own steps know. */
  allAddresses?(): Promise<readonly NicAddresses[]>;
}

export function proveBootStep(work: Work, options: ProofOptions): Step<BootProof> {
  return {
    id: PROVE_BOOT,
    title: 'Prove that it boots',
    actions: actionsOf(
      'machines.instance',
      'machines.serialLog',
      'machines.get',
      'network.networkInterface',
      'network.publicIp',
    ),
    async run(context) {
      const running = context.output<Running>(WAIT_RUNNING);
      const watch: Watch = {
        work,
        context,
        running,
        untilMs: work.clock.now() + patienceOf(work).bootMs,
        seen: { noGuest: false, healthy: false },
      };
      const [serial, ...health] = await Promise.all([
        watchSerial(watch),
        ...work.scenario.healthChecks.map((check) => watchHealth(watch, options, check)),
      ]);
      const verdicts = [await powerVerdict(work, running.vmId), serial, ...health];
      const address = await options.addressOf(context);
      const proof = judge(work, verdicts, work.clock.now() - running.runningAtMs);
      const addresses = await options.allAddresses?.();
      return { ...proof, ...(address ? { address } : {}), ...(addresses ? { addresses } : {}) };
    },
  };
}

interface Watch {
  readonly work: Work;
  readonly context: StepContext;
  readonly running: Running;
  readonly untilMs: number;
  /** What one watcher has seen, for the others. */
  readonly seen: { noGuest: boolean; healthy: boolean };
}

function judge(work: Work, verdicts: readonly Verdict[], bootMs: number): BootProof {
  const bad = verdicts.find((verdict) => verdict.status === 'error');
  if (bad) {
    if (work.acceptUnprovenBoot) return { outcome: 'failed-but-accepted', verdicts, bootMs };
    throw new StandbyError({
      code: 'BOOT_NOT_PROVEN',
      what: `The standby VM runs, but its boot is not proven: ${bad.title}.`,
      why: bad.found,
      next: `Look at the VM's console in Azure. Then look again: standby resume ${work.runId}; go live all the same: standby switchover ${work.scenario.name} --accept-unproven-boot; or take it back: standby resume ${work.runId} --undo`,
    });
  }
  if (verdicts.some((verdict) => verdict.code === 'BOOT_SKIPPED'))
    return { outcome: 'skipped', verdicts, bootMs };
  const proof = verdicts.filter((verdict) => verdict.code !== 'POWER_RUNNING' && verdict.status === 'ok');
  return { outcome: proof.length > 0 ? 'proven' : 'not-proven', verdicts, bootMs };
}

async function powerVerdict(work: Work, vmId: string): Promise<Verdict> {
  const power = (await work.cloud.machines.instance(vmId))?.power ?? 'gone';
  const title = 'Power state';
  if (power === 'running') return { code: 'POWER_RUNNING', status: 'ok', title, found: 'running' };
  return { code: 'POWER_LOST', status: 'error', title, found: `The VM is ${power}.`, expected: 'running' };
}

/** The console grows and says something that is not the firmware's. */
async function watchSerial(watch: Watch): Promise<Verdict> {
  const { work, context, running, untilMs, seen } = watch;
  let length = -1;
  let quietSinceMs = work.clock.now();
  for (let pollMs = POLL_MS; ; pollMs = Math.min(pollMs * 1.2, POLL_MS_MAX)) {
    const whole = await serialOf(work, running.vmId);
    if (whole instanceof StandbyError) return notAllowed(whole);
    if (whole?.includes(NO_GUEST_LINE)) {
      seen.noGuest = true;
      const found = 'boot skipped: Local Azure runs without guests';
      return { code: 'BOOT_SKIPPED', status: 'skipped', title: SERIAL_TITLE, found };
    }
    const text = sinceStart(whole ?? '', running.serialBefore);
    if (text.length !== length) quietSinceMs = work.clock.now();
    length = text.length;
    const now = work.clock.now();
    const verdict = judgeSerial(text, {
      stalled: now >= untilMs || now - quietSinceMs >= STALLED_MS,
      over: now >= untilMs || (seen.healthy && now - quietSinceMs >= SILENT_BUT_HEALTHY_MS),
      healthy: seen.healthy,
      // While somebody else still waits for it, its last word is not yet said: it may end in an emergency.
      final: seen.healthy || now >= untilMs || work.scenario.healthChecks.length === 0,
    });
    if (verdict) return verdict;
    context.progress(
      length > 0
        ? 'Waiting for the guest; its firmware has spoken'
        : 'Waiting for a sign of life on the console',
      { passing: true },
    );
    await work.clock.sleep(pollMs, context.signal);
  }
}

const SERIAL_TITLE = 'Serial console';
/** A boot loader may report one failed try and go on with the next; only silence after it means the end. */
const STALLED_MS = 20_000;
const SILENT_BUT_HEALTHY_MS = 5_000;

/** Azure may begin a new console at a restart. */
function sinceStart(whole: string, before: number): string {
  return whole.length >= before ? whole.slice(before) : whole;
}

function judgeSerial(
  text: string,
  now: {
    readonly stalled: boolean;
    readonly over: boolean;
    readonly healthy: boolean;
    readonly final: boolean;
  },
): Verdict | undefined {
  const title = SERIAL_TITLE;
  const { lines, lastLine, fault } = readSerialSigns(text);
  if (fault && now.stalled) {
    const next = 'Compare the disk with the master, or boot it in a test VM.';
    return { code: 'BOOT_FAILED', status: 'error', title, found: `The console says "${fault}".`, next };
  }
  if (!fault && lines > 0) {
    if (!now.final) return undefined;
    const found = `${lines} ${lines === 1 ? 'line' : 'lines'}, last: "${lastLine?.slice(0, 80)}"`;
    return { code: 'SERIAL_ALIVE', status: 'ok', title, found };
  }
  if (!now.over || fault) return undefined;
  if (now.healthy)
    return { code: 'SERIAL_SILENT', status: 'skipped', title, found: 'the guest writes nothing there' };
  const found = 'The console stayed silent; that neither proves nor disproves the boot.';
  const next = 'Name a health check in the scenario, or let the guest write to its serial port.';
  return { code: 'SERIAL_SILENT', status: 'warning', title, found, next };
}

/** The console may not be readable just now; that is no finding about the guest. */
async function serialOf(work: Work, vmId: string): Promise<string | undefined | StandbyError> {
  try {
    return await work.cloud.machines.serialLog(vmId);
  } catch (error) {
    if (isStandbyError(error) && error.retry === 'later') return undefined;
    if (isStandbyError(error) && /Authorization|Forbidden/i.test(error.code)) return error;
    throw error;
  }
}

/** A narrow role must not stand between the operator and the standby: nothing was proven by the console, and that is said. */
function notAllowed(error: StandbyError): Verdict {
  const next = 'Allow Microsoft.Compute/virtualMachines/retrieveBootDiagnosticsData/action to the app.';
  const found = `the console may not be read: ${error.message}`;
  return { code: 'SERIAL_NOT_ALLOWED', status: 'skipped', title: SERIAL_TITLE, found, next };
}

async function watchHealth(watch: Watch, options: ProofOptions, check: HealthCheck): Promise<Verdict> {
  const { work, context, untilMs, seen } = watch;
  const title = healthTitle(check);
  const expected = check.kind === 'http' ? `HTTP status ${check.expectStatus}` : 'a connection';
  for (;;) {
    if (seen.noGuest) {
      return { code: 'HEALTH_SKIPPED', status: 'skipped', title, found: 'there is no guest to ask' };
    }
    const address = await options.addressOf(context);
    const answer = address
      ? await askHealth(address, check, ANSWER_MS)
      : { healthy: false, found: 'the VM has no address' };
    if (answer.healthy) {
      seen.healthy = true;
      return { code: 'HEALTH_OK', status: 'ok', title, found: answer.found };
    }
    if (work.clock.now() >= untilMs && !seen.noGuest) {
      const next = 'Check the security group, the guest and its firewall.';
      return { code: 'HEALTH_MISSING', status: 'error', title, found: `${answer.found}.`, expected, next };
    }
    context.progress(`Waiting for an answer: ${title} (${answer.found})`, { passing: true });
    await work.clock.sleep(POLL_MS, context.signal);
  }
}

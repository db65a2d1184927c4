import { writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/clock.ts';
import { createGroup } from '../src/control/group/definition.ts';
import { proposeGroupSwitchover, switchGroupOver } from '../src/control/group/switchover.ts';
import { proposeSwitchover, switchOver } from '../src/control/switchover.ts';
import type { RunRecord, StepRecord } from '../src/plan/plan.ts';
import { type LocalGroup, localGroup } from '../test/fixtures/local-group.ts';
import { asFailure } from './failure.ts';
import { asText, goalsText, type WorkReport } from './report.ts';
import { bucketsAfter, type Exchange, inARow, recordExchanges } from './switchover-requests.ts';
import { azureSeconds, oneAfterAnother } from './switchover-script.ts';

/**
 * `npm run bench:switchover`: how long a switchover takes on Local Azure with the durations and poll intervals of Azure, from
 * the word to go to the standby that is declared live. Beside it the same resources made one after another, and what
 * Azure itself takes along the longest chain. The appliance is made up and no guest runs: both are other benches' matter.
 */
const GROUP_DISKS = 2;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      disks: { type: 'string', default: '1,4,16' },
      group: { type: 'string', default: '20' },
      folder: { type: 'string', default: tmpdir() },
      json: { type: 'string' },
    },
  });
  const works: WorkReport[] = [];
  const add = (report: WorkReport) => {
    works.push(report);
    process.stdout.write(`${asText(report)}\n`);
  };
  const sizes = values.disks.split(',').map(Number).filter(Boolean);
  for (const disks of sizes) add(await single(disks, values.folder));
  if (Number(values.group) > 0) add(await together(Number(values.group), values.folder));
  process.stdout.write(`${goalsText(works)}\n`);
  const machine = {
    processor: cpus()[0]?.model,
    cores: cpus().length,
    load: loadavg(),
    node: process.version,
  };
  if (values.json) await writeFile(values.json, `${JSON.stringify({ machine, works }, undefined, 2)}\n`);
}

const ground = (names: readonly string[], disks: number, folder: string) =>
  localGroup({ names, disks, publicIp: true, latency: 'azure', clock: systemClock, folder });

/** Both sides of one measure at the same time, each on a Local Azure of its own: a busy machine hurts both. */
async function single(disks: number, folder: string): Promise<WorkReport> {
  const [ours, theirs] = await Promise.all([ground(['web'], disks, folder), ground(['web'], disks, folder)]);
  try {
    const [standby, script] = await Promise.all([
      timed(
        ours,
        async () => (await switchOver(ours.context, await proposeSwitchover(ours.context, 'web'))).run,
      ),
      timed(theirs, () => oneAfterAnother(theirs, disks)),
    ]);
    const { chain, inARow: all } = azureSeconds(disks);
    const trips = criticalTrips(standby.result, standby.exchanges);
    return {
      title: `One scenario with ${disks} ${disks === 1 ? 'disk' : 'disks'}`,
      conditions: "latency profile 'azure', guests off",
      about: { load: loadavg()[0]?.toFixed(1) ?? '' },
      rows: [],
      figures: [
        { name: 'standby switchover', value: standby.seconds, unit: 's' },
        { name: '  of it, before the first resource is asked for', value: firstWrite(standby), unit: 's' },
        { name: 'one after another, as the SDK waits', value: script.seconds, unit: 's' },
        { name: 'one after another, never waiting too long', value: all, unit: 's' },
        { name: 'longest chain of what Azure takes', value: chain, unit: 's' },
        { name: 'requests of standby switchover', value: standby.exchanges.length, unit: '' },
        { name: '  in a row on the critical path', value: trips.all, unit: '' },
        { name: '  of these, hidden by no operation', value: trips.bare, unit: '' },
        { name: 'requests one after another', value: script.exchanges.length, unit: '' },
      ],
      verdicts: [
        atMost('critical path by the longest chain', standby.seconds / chain, 1.1),
        ...(disks === 4
          ? [atLeast('times as quick as one after another', script.seconds / standby.seconds, 2.5)]
          : []),
      ],
    };
  } finally {
    await Promise.all([ours.close(), theirs.close()]);
  }
}

/** A wave of so many scenarios, beside one of them alone. */
async function together(count: number, folder: string): Promise<WorkReport> {
  const names = Array.from({ length: count }, (_, index) => `server${index + 1}`);
  const [alone, many] = await Promise.all([
    ground(['web'], GROUP_DISKS, folder),
    ground(names, GROUP_DISKS, folder),
  ]);
  try {
    const one = await timed(alone, async () =>
      switchOver(alone.context, await proposeSwitchover(alone.context, 'web')),
    );
    await createGroup(many.context, { standbyGroup: 1, name: 'all', waves: [{ scenarios: names }] });
    const group = await timed(many, async () => {
      const proposal = await proposeGroupSwitchover(many.context, 'all');
      const outcome = await switchGroupOver(many.context, proposal);
      if (outcome.failed.length > 0) throw new Error(`Failed: ${outcome.failed.join(', ')}`);
      return proposal.input.parallel;
    });
    const buckets = bucketsAfter(group.exchanges);
    return {
      title: `A group of ${count} scenarios with ${GROUP_DISKS} disks each, one wave`,
      conditions: "latency profile 'azure', guests off",
      about: { load: loadavg()[0]?.toFixed(1) ?? '', atOnce: Math.min(count, group.result) },
      rows: [],
      figures: [
        { name: 'one scenario alone', value: one.seconds, unit: 's' },
        { name: 'the wave', value: group.seconds, unit: 's' },
        { name: 'requests', value: group.exchanges.length, unit: '' },
        { name: 'least left of 200 writes', value: buckets.leastWrites, unit: '' },
        { name: 'least left of 250 reads', value: buckets.leastReads, unit: '' },
      ],
      verdicts: [
        atMost('the wave by one scenario', group.seconds / one.seconds, 1.3),
        atMost(
          "writes and reads beyond Azure's limits",
          beyond(buckets.leastWrites) + beyond(buckets.leastReads),
          0,
        ),
      ],
    };
  } finally {
    await Promise.all([alone.close(), many.close()]);
  }
}

const beyond = (left: number) => Math.max(0, -left);

interface Timed<Result> {
  readonly result: Result;
  readonly beganMs: number;
  readonly seconds: number;
  readonly exchanges: readonly Exchange[];
}

async function timed<Result>({ azure }: LocalGroup, work: () => Promise<Result>): Promise<Timed<Result>> {
  const recording = recordExchanges(azure.endpoint.url, systemClock);
  const beganMs = systemClock.now();
  try {
    const result = await work();
    const seconds = (systemClock.now() - beganMs) / 1000;
    return { result, beganMs, seconds, exchanges: recording.stop() };
  } catch (error) {
    recording.stop();
    throw error;
  }
}

function firstWrite({ beganMs, exchanges }: Timed<unknown>): number {
  const first = exchanges
    .filter((each) => each.method === 'PUT')
    .toSorted((a, b) => a.startMs - b.startMs)[0];
  return first ? (first.startMs - beganMs) / 1000 : 0;
}

/**
 * Requests one after the other along the steps that ended last in each stage. `bare`: those during which Azure worked on
 * nothing of that step, so that each costs its whole round trip.
 */
function criticalTrips(run: RunRecord, exchanges: readonly Exchange[]) {
  let all = 0;
  let bare = 0;
  for (const step of lastOfEachStage(run.steps)) {
    const mine = exchanges.filter((each) => isDuring(step, each) && isOf(step, each, exchanges));
    const writes = mine.filter((each) => each.method === 'PUT');
    const submittedMs = Math.min(...writes.map((each) => each.endMs), Number.POSITIVE_INFINITY);
    const count = inARow(mine);
    const before = inARow(mine.filter((each) => each.endMs <= submittedMs));
    all += count;
    // One more finds the end.
    bare += writes.length > 0 ? before + 1 : count;
  }
  return { all, bare };
}

function lastOfEachStage(steps: readonly StepRecord[]): readonly StepRecord[] {
  const chain: StepRecord[] = [];
  for (const step of steps.toSorted((a, b) => (a.endedAtMs ?? 0) - (b.endedAtMs ?? 0))) {
    const before = chain.at(-1);
    // Side by side with the one before, and later at its end: it takes its place.
    if (before && (step.startedAtMs ?? 0) < (before.endedAtMs ?? 0)) chain.pop();
    chain.push(step);
  }
  return chain;
}

const isDuring = ({ startedAtMs = 0, endedAtMs = 0 }: StepRecord, each: Exchange) =>
  each.startMs >= startedAtMs && each.endMs <= endedAtMs + 1;

/** A step that makes one of several things of a stage: what names that thing, and the polls of what it began. */
function isOf({ output }: StepRecord, each: Exchange, exchanges: readonly Exchange[]): boolean {
  const made = Object.values((output ?? {}) as Record<string, unknown>).find(
    (value): value is string => typeof value === 'string' && /\/(snapshots|disks)\//.test(value),
  );
  if (made === undefined) return true;
  const name = made.split('/').at(-1) ?? '';
  const began = exchanges.find((one) => one.method === 'PUT' && one.path.endsWith(`/${name}`));
  const last = each.path.split('/').at(-1);
  return last === name || (began?.operationId !== undefined && last === began.operationId);
}

function atMost(text: string, value: number, wanted: number) {
  return { text: `${text}, at most`, value, wanted, met: value <= wanted };
}

function atLeast(text: string, value: number, wanted: number) {
  return { text: `${text}, at least`, value, wanted, met: value >= wanted };
}

try {
  await main();
} catch (error) {
  process.exitCode = asFailure(error);
}

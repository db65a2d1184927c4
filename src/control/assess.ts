import { inputError } from '../errors.ts';
import { liveScenario } from './bookmarks.ts';
import type { Context } from './context.ts';
import { lookAt } from './live-look.ts';
import { statusOf } from './scenario-status.ts';

/**
 * What protecting a server asks of the line and of the journal (C-01), from how much it writes. Only looks: a device's
 * own count of written sectors, an image read again and again, or what a live scenario has sent and still has to send.
 */
export interface Assessment {
  readonly what: string;
  readonly how: string;
  readonly seconds: number;
  readonly changedBytes: number;
  readonly bytesPerSecond: number;
  /** The busiest interval between two looks. */
  readonly peakBytesPerSecond: number;
  readonly diskBytes: number;
  /** What a first synchronisation sends at most. */
  readonly firstSyncBytes: number;
  /** So that the replica never falls behind for longer than a peak lasts. */
  readonly bitsPerSecondAtLeast: number;
  readonly bitsPerSecondForPeaks: number;
  readonly firstSyncHours: readonly { readonly megabitsPerSecond: number; readonly hours: number }[];
  readonly rewindHours: number;
  /** Redo until it is applied, undo for the window, and a quarter more. */
  readonly journalBytes: number;
  readonly verdict?: string;
}

/** Counts written bytes; the number only grows. */
export interface WriteCounter {
  readonly what: string;
  readonly how: string;
  readonly diskBytes: number;
  readonly usedBytes: number;
  read(): Promise<number>;
  close(): Promise<void>;
}

export interface AssessRequest {
  readonly seconds: number;
  readonly everyMs: number;
  readonly rewindHours: number;
  /** The line there is. */
  readonly megabitsPerSecond?: number;
}

interface Sample {
  readonly atMs: number;
  readonly bytes: number;
}

export async function assess(
  { clock, host }: Pick<Context, 'clock' | 'host'>,
  counter: WriteCounter,
  request: AssessRequest,
): Promise<Assessment> {
  const samples: Sample[] = [];
  const look = async () => samples.push({ bytes: await counter.read(), atMs: clock.now() });
  await look();
  const beganAtMs = samples[0]?.atMs ?? clock.now();
  const untilMs = beganAtMs + request.seconds * 1000;
  while (clock.now() < untilMs) {
    await clock.sleep(Math.min(request.everyMs, Math.max(1, untilMs - clock.now())), host.signal);
    await look();
    const doneBytes = Math.round((clock.now() - beganAtMs) / 1000);
    host.tell({
      kind: 'activity',
      id: 'assess',
      text: `Watching ${counter.what}: ${doneBytes} of ${request.seconds} s`,
    });
  }
  return assessmentOf(samples, counter, request);
}

const COMMON_LINES = [10, 100, 1000] as const;
const RESERVE = 1.25;

/** Pure. */
export function assessmentOf(
  samples: readonly Sample[],
  counter: Pick<WriteCounter, 'what' | 'how' | 'diskBytes' | 'usedBytes'>,
  request: AssessRequest,
): Assessment {
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last || last.atMs <= first.atMs) throw new RangeError('nothing was watched');
  const perSecond = (one: Sample, other: Sample) =>
    ((other.bytes - one.bytes) * 1000) / Math.max(1, other.atMs - one.atMs);
  const bytesPerSecond = perSecond(first, last);
  const peak = Math.max(
    ...samples.slice(1).map((sample, index) => perSecond(samples[index] ?? first, sample)),
  );
  const lines = [
    ...new Set([...COMMON_LINES, ...(request.megabitsPerSecond ? [request.megabitsPerSecond] : [])]),
  ];
  const { what, how, diskBytes, usedBytes } = counter;
  const atLeast = bytesPerSecond * 8 * RESERVE;
  return {
    what,
    how,
    seconds: (last.atMs - first.atMs) / 1000,
    changedBytes: last.bytes - first.bytes,
    bytesPerSecond,
    peakBytesPerSecond: peak,
    diskBytes,
    firstSyncBytes: usedBytes,
    bitsPerSecondAtLeast: atLeast,
    bitsPerSecondForPeaks: peak * 8 * RESERVE,
    firstSyncHours: lines
      .toSorted((a, b) => a - b)
      .map((megabitsPerSecond) => ({
        megabitsPerSecond,
        hours: syncHours(usedBytes, bytesPerSecond, megabitsPerSecond),
      })),
    rewindHours: request.rewindHours,
    journalBytes: Math.ceil(bytesPerSecond * request.rewindHours * 3600 * 2 * RESERVE),
    ...(request.megabitsPerSecond === undefined
      ? {}
      : { verdict: verdictOf(request.megabitsPerSecond * 1e6, atLeast, peak * 8 * RESERVE) }),
  };
}

/** Changes take their part of the line meanwhile; a line that they fill never comes to an end. */
function syncHours(usedBytes: number, bytesPerSecond: number, megabitsPerSecond: number): number {
  const free = (megabitsPerSecond * 1e6) / 8 - bytesPerSecond;
  return free <= 0 ? Number.POSITIVE_INFINITY : usedBytes / free / 3600;
}

function verdictOf(line: number, atLeast: number, forPeaks: number): string {
  if (line < atLeast) return 'The line is too slow: the replica would fall behind for ever.';
  return line < forPeaks
    ? 'The line carries the average; at peaks the replica falls behind for a while and catches up after.'
    : 'The line carries the peaks too.';
}

/** A live scenario: what has come, and what its master still has to send. */
export async function scenarioCounter(context: Context, name: string): Promise<WriteCounter> {
  const scenario = await liveScenario(context, name);
  const master = await context.store.masters.get(scenario.masterId);
  const disks = master?.inventory.disks ?? [];
  const { state } = await statusOf(context, scenario);
  if (state !== 'replicating') {
    throw inputError(
      'NOT_REPLICATING',
      `Scenario ${scenario.name} is ${state}: nothing of it is being sent.`,
      'On the master, look at its disks themselves: standby assess --disk /dev/sda',
    );
  }
  return {
    what: scenario.name,
    how: 'what the master has sent of its changes and still has to send',
    diskBytes: disks.reduce((sum, disk) => sum + disk.sizeBytes, 0),
    usedBytes: disks.reduce(
      (sum, disk) =>
        sum +
        disk.volumes.reduce(
          (rest, one) => rest - (one.sizeBytes - (one.usedBytes ?? one.sizeBytes)),
          disk.sizeBytes,
        ),
      0,
    ),
    async read() {
      const look = await lookAt(context, scenario);
      const replication = look.answered ? look.progress.replication : undefined;
      if (!replication) {
        throw inputError(
          'NOTHING_TO_WATCH',
          `The appliance tells nothing of ${scenario.name}${look.answered ? '' : `: ${look.because}`}.`,
          `Look: standby status ${scenario.name}`,
        );
      }
      const { receivedBytes, stream } = replication;
      return receivedBytes + (stream?.spooledBytes ?? 0) + (stream?.dirtyBytes ?? 0);
    },
    close: async () => undefined,
  };
}

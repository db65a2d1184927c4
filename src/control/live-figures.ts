import type { SeenReplica } from '../model/scenario.ts';
import type { CopyProgress, Replication } from '../wire/control-session.ts';
import type { LiveLook } from './live-look.ts';

/**
 * What can honestly be said of a live replica. Nothing is claimed that was not heard: figures say of when they are,
 * and whether they are old.
 */
export interface LiveFigures {
  readonly appliance: 'answers' | 'silent';
  /** Why it does not answer, in its own words. */
  readonly silentBecause?: string;
  /** Since when by control's clock, as far as control knows: it was last heard then. */
  readonly silentSinceMs?: number;
  /** What the appliance says of the replica. */
  readonly says?: CopyProgress['state'];
  readonly master: 'connected' | 'away' | 'unknown';
  /** By control's clock. */
  readonly masterHeardAtMs?: number;
  /** The figures are not of now: the appliance or the master was not heard for ten seconds. */
  readonly old: boolean;
  readonly receivedSequence?: string;
  readonly appliedSequence?: string;
  /** By the master's clock. */
  readonly receivedAtMs?: number;
  readonly appliedAtMs?: number;
  /** What a switchover now would lose, at most as far as is known; null = not known. */
  readonly rpoSeconds: number | null;
  readonly rpoBytes: number | null;
  readonly trend: Trend;
}

export type Trend = 'growing' | 'steady' | 'shrinking' | 'unknown';

export const OLD_AFTER_MS = 10_000;

export function liveFigures(
  look: LiveLook,
  seen: SeenReplica | undefined,
  trend: LagTrend = new LagTrend(seen),
): LiveFigures {
  if (!look.answered) {
    const { atMs, lagSeconds: _then, lagBytes: __, ...position } = seen ?? {};
    return {
      appliance: 'silent',
      silentBecause: look.because,
      ...(atMs === undefined ? {} : { silentSinceMs: atMs }),
      master: 'unknown',
      old: true,
      ...position,
      rpoSeconds: null,
      rpoBytes: null,
      trend: 'unknown',
    };
  }
  const { progress, atMs, masterConnected, clockDifferenceMs } = look;
  const { replication } = progress;
  const heardAtMs =
    replication?.heardAtMs === undefined ? undefined : replication.heardAtMs - clockDifferenceMs;
  const isHeard = heardAtMs !== undefined && atMs - heardAtMs <= OLD_AFTER_MS;
  const isAway = masterConnected === false || progress.state === 'master-away';
  return {
    appliance: 'answers',
    says: progress.state,
    master: isAway ? 'away' : masterConnected === undefined ? 'unknown' : 'connected',
    ...(heardAtMs === undefined ? {} : { masterHeardAtMs: heardAtMs }),
    old: !isHeard,
    ...positionsOf(replication, seen),
    rpoSeconds: replication?.lagSeconds ?? null,
    rpoBytes: replication?.lagBytes ?? null,
    trend: isHeard ? trend.add({ atMs, ...replication }) : 'unknown',
  };
}

function positionsOf(replication: Replication | undefined, seen: SeenReplica | undefined) {
  const known = replication ?? seen;
  if (!known) return {};
  const { receivedSequence, appliedSequence, receivedAtMs, appliedAtMs } = known;
  return {
    receivedSequence,
    appliedSequence,
    ...(receivedAtMs === undefined ? {} : { receivedAtMs }),
    ...(appliedAtMs === undefined ? {} : { appliedAtMs }),
  };
}

interface LagSample {
  readonly atMs: number;
  readonly lagSeconds?: number | undefined;
  readonly lagBytes?: number | undefined;
}

const WINDOW_MS = 60_000;
/** A look of another time tells a trend only when it was not too long ago. */
const SEEN_WITHIN_MS = 10 * 60_000;
const BYTES_THAT_MATTER = 256 * 1024;
const SECONDS_THAT_MATTER = 2;

/** Whether the replica falls behind: compared with the oldest look of the last minute, or with the one before. */
export class LagTrend {
  readonly #samples: LagSample[] = [];

  constructor(seen?: SeenReplica) {
    if (seen) this.#samples.push(seen);
  }

  add(sample: LagSample): Trend {
    this.#samples.push(sample);
    const oldMs = this.#samples.length > 2 ? WINDOW_MS : SEEN_WITHIN_MS;
    while (this.#samples.length > 1 && sample.atMs - (this.#samples[0]?.atMs ?? 0) > oldMs)
      this.#samples.shift();
    const [first] = this.#samples;
    if (!first || first === sample || sample.atMs - first.atMs < 500) return 'unknown';
    const bytes = difference(first.lagBytes, sample.lagBytes);
    if (bytes !== undefined && Math.abs(bytes) > BYTES_THAT_MATTER)
      return bytes > 0 ? 'growing' : 'shrinking';
    const seconds = difference(first.lagSeconds, sample.lagSeconds);
    if (seconds !== undefined && Math.abs(seconds) > SECONDS_THAT_MATTER)
      return seconds > 0 ? 'growing' : 'shrinking';
    return bytes === undefined && seconds === undefined ? 'unknown' : 'steady';
  }
}

function difference(before: number | undefined, now: number | undefined): number | undefined {
  return before === undefined || now === undefined ? undefined : now - before;
}

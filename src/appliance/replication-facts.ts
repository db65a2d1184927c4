import type { JournalState, JournalUsage } from '../journal/journal-options.ts';
import type { Amount } from '../journal/targets.ts';
import type { MasterStream, ReplicaProof, Replication } from '../wire/control-session.ts';
import type { DurableNews } from './change-receiver.ts';
import { Rate } from './rate.ts';

/**
 * What the appliance knows of a stream, in numbers. Honest: lag is what a switchover now would lose as far as it can be
 * known here; it grows while nobody is heard, and is absent while nobody ever was. Kept in memory only.
 */
export interface AppliedAt {
  readonly sequence: bigint;
  /** By the master's clock. */
  readonly timeMs: number;
}

export interface JournalView {
  readonly state: JournalState;
  readonly usage: JournalUsage;
  /** The last durable change. */
  readonly durableSequence: bigint;
}

const NOTHING: Amount = { changes: 0, bytes: 0 };

const plus = (a: Amount, b: Amount): Amount => ({
  changes: a.changes + b.changes,
  bytes: a.bytes + b.bytes,
});
const less = (a: Amount, b: Amount): Amount => plus(a, { changes: -b.changes, bytes: -b.bytes });

export class ReplicationFacts {
  readonly #originSequence: bigint;
  readonly #isCompared: boolean;
  readonly #rate = new Rate();
  #stream: MasterStream | undefined;
  #heardAtMs: number | undefined;
  #receivedSequence: bigint;
  #receivedAtMs: number | undefined;
  #consistentAtMs: number | undefined;
  #receivedBytes = 0;
  #unmarkedBytes = 0;
  /** Since this was made, and what lay in the journal then. */
  #received: Amount;
  #marked: { readonly amount: Amount; readonly sequence: bigint };
  #applied: Amount = NOTHING;
  /** The journal's own position runs ahead of the disks while it moves them. */
  #appliedAt: AppliedAt;

  constructor(facts: {
    readonly originSequence: bigint;
    readonly receivedSequence: bigint;
    readonly unapplied: Amount;
    readonly isCompared: boolean;
    readonly applied: AppliedAt;
    /** 0: nothing came yet. */
    readonly consistentAtMs: number | undefined;
  }) {
    this.#consistentAtMs = facts.consistentAtMs || undefined;
    this.#appliedAt = facts.applied;
    this.#originSequence = facts.originSequence;
    this.#receivedSequence = facts.receivedSequence;
    this.#isCompared = facts.isCompared;
    this.#received = facts.unapplied;
    this.#marked = { amount: NOTHING, sequence: 0n };
  }

  hear(stream: MasterStream, nowMs: number): void {
    this.#stream = stream;
    this.#heardAtMs = nowMs;
  }

  /** `marked`: the journal's last consistent position by now. */
  receive(news: DurableNews, marked: bigint | undefined, nowMs: number): void {
    if (news.sequence > this.#receivedSequence) this.#receivedSequence = news.sequence;
    if (news.masterClockMs > 0) this.#receivedAtMs = news.masterClockMs;
    this.#receivedBytes += news.bytes;
    this.#received = plus(this.#received, { changes: news.changes, bytes: news.changedBytes });
    this.#unmarkedBytes += news.bytes;
    this.#rate.add(nowMs, this.#receivedBytes);
    if (news.consistentAtMs === undefined) return;
    this.#consistentAtMs = news.consistentAtMs;
    this.#unmarkedBytes = 0;
    if (marked !== undefined) this.#marked = { amount: this.#received, sequence: marked };
  }

  /** The replica was brought to this position. */
  moved(applied: AppliedAt): void {
    this.#appliedAt = applied;
    if (applied.sequence >= this.#marked.sequence) this.#applied = this.#marked.amount;
  }

  /** Counted anew: after a rewind. */
  recount(unapplied: Amount, applied: AppliedAt): void {
    this.#appliedAt = applied;
    this.#applied = less(this.#received, unapplied);
  }

  tell(journal: JournalView, proof: ReplicaProof | undefined, proving: boolean, nowMs: number): Replication {
    const { usage, state, durableSequence } = journal;
    const lag = this.#lag(nowMs);
    const { sequence: appliedSequence, timeMs: appliedAtMs } = this.#appliedAt;
    const isAtEnd = appliedSequence >= durableSequence;
    const unapplied = isAtEnd ? NOTHING : less(this.#received, this.#applied);
    return {
      originSequence: String(this.#originSequence),
      receivedSequence: String(this.#receivedSequence),
      appliedSequence: String(appliedSequence),
      ...(this.#receivedAtMs === undefined ? {} : { receivedAtMs: this.#receivedAtMs }),
      ...(appliedAtMs === 0 ? {} : { appliedAtMs }),
      receivedBytes: this.#receivedBytes,
      bytesPerSecond: this.#rate.perSecond(),
      ...(this.#heardAtMs === undefined ? {} : { heardAtMs: this.#heardAtMs }),
      ...(this.#stream ? { stream: this.#stream } : {}),
      ...lag,
      journal: {
        state: state.kind,
        ...(state.error ? { reason: state.error.what } : {}),
        usedBytes: usage.usedBytes,
        limitBytes: usage.limitBytes,
        rewindBytes: usage.rewindBytes,
        rewindLimitMs: usage.window.rewindMs,
        rewindLimitBytes: usage.window.rewindBytes,
        ...(usage.shrunkAtMs === undefined ? {} : { rewindShrunkAtMs: usage.shrunkAtMs }),
        rewindFromMs: usage.rewindFromMs,
        unappliedChanges: isAtEnd ? 0 : Math.max(1, unapplied.changes),
        unappliedBytes: Math.max(0, unapplied.bytes),
      },
      ...(proof ? { proof } : {}),
      proving,
    };
  }

  #lag(nowMs: number): { lagSeconds?: number; lagBytes?: number } {
    const stream = this.#stream;
    if (!stream || this.#heardAtMs === undefined) return {};
    const silentMs = Math.max(0, nowMs - this.#heardAtMs);
    const hasAll =
      this.#receivedSequence >= BigInt(stream.lastSequence) &&
      stream.mode === 'ordered' &&
      this.#unmarkedBytes === 0;
    // What was spooled when it was told, less what came since; and what came but is at no consistent position yet.
    const lagBytes = (hasAll ? 0 : stream.spooledBytes) + stream.dirtyBytes + this.#unmarkedBytes;
    if (hasAll && !this.#isCompared) return { lagSeconds: silentMs / 1000, lagBytes };
    if (this.#consistentAtMs === undefined) return { lagBytes };
    const behindMs = Math.max(0, stream.masterClockMs - this.#consistentAtMs);
    return { lagSeconds: (behindMs + silentMs) / 1000, lagBytes };
  }
}

import type { Clock } from '../clock.ts';
import { StandbyError } from '../errors.ts';
import type { InTurn } from '../in-turn.ts';
import type { HeldReplica, HoldRequest, ReleasedHold } from '../wire/hold-messages.ts';
import type { LiveReplica } from './live-replica.ts';
import type { ReplicaRecord } from './replica-record.ts';
import { assertNotSealed } from './replica-rules.ts';

/**
 * Has a replica's disks stand still for a while, so that control can take a picture of all of them at one position, while
 * what the master sends is taken and acknowledged as ever. Promises: from `take` until the hold is over no byte of the
 * disks changes, and whoever asked for it learns by `renew` and `release` whether it lasted. It ends by itself after its
 * time, when the journal has no room, and when a switchover, a stop or a new copy needs the disks: replication wins.
 * What a drill has patched is taken back before anything moves. The hold is in memory only. Dies at any line: the next
 * start of the engine takes a patch back and applies again, and the hold is over.
 */
interface HoldHost {
  readonly clock: Clock;
  readonly inTurn: InTurn;
  record(): ReplicaRecord;
  live(): LiveReplica | undefined;
  isMasterHere(): boolean;
  scrub(): Promise<void>;
  /** In turn. The disks are as they were before a drill's patch; they may move then. */
  takeBack(): Promise<void>;
  fail(error: unknown): Promise<void>;
}

interface Hold {
  readonly id: string;
  readonly replica: HeldReplica;
  untilMs: number;
  readonly over: AbortController;
}

export class ReplicaHold {
  readonly #host: HoldHost;
  #now: Hold | undefined;
  /** Of the last one, for its holder. */
  #ended: { readonly id: string; readonly why: string } | undefined;

  constructor(host: HoldHost) {
    this.#host = host;
  }

  /** The same one again goes on from now. */
  take({ holdId, ms, renew = false }: HoldRequest): Promise<HeldReplica> {
    return this.#host.inTurn(async () => {
      const now = this.#now;
      const untilMs = this.#host.clock.now() + ms;
      if (now && now.id !== holdId) throw heldByAnother(now);
      if (now) now.untilMs = untilMs;
      else if (renew) throw holdEnded(this.#whyEnded(holdId));
      return (now ?? (await this.#begin(holdId, untilMs))).replica;
    });
  }

  release(holdId: string): Promise<ReleasedHold> {
    return this.#host.inTurn(async () => {
      if (this.#now?.id !== holdId) return { held: false, why: this.#whyEnded(holdId) };
      this.end('it was released');
      return { held: true };
    });
  }

  assertNone(): void {
    if (this.#now) throw heldByAnother(this.#now);
  }

  end(why: string): void {
    const now = this.#now;
    if (!now) return;
    this.#now = undefined;
    this.#ended = { id: now.id, why };
    now.over.abort();
    void this.#host.inTurn(() => this.#letGo());
  }

  get isHeld(): boolean {
    return this.#now !== undefined;
  }

  /** Unless another one has begun meanwhile. */
  async #letGo(): Promise<void> {
    if (this.#now) return;
    try {
      await this.#host.takeBack();
    } catch (error) {
      // Nothing is applied onto a patched disk: it stays held, and says why it cannot go on.
      return await this.#host.fail(error);
    }
    this.#host.live()?.release();
    await this.#proveIfAsked();
  }

  /** A comparison that was asked for before and could not go on meanwhile. */
  async #proveIfAsked(): Promise<void> {
    const { live, sealed, phase } = this.#host.record();
    const isWanted = live?.scrub === true && !sealed && phase === 'replicating';
    if (isWanted && this.#now === undefined && this.#host.isMasterHere()) await this.#host.scrub();
  }

  async #begin(id: string, untilMs: number): Promise<Hold> {
    const record = this.#host.record();
    assertNotSealed(record);
    const { spec, digests, synchronisedAtMs, phase } = record;
    const isWhole = record.live ? record.live.whole && phase === 'replicating' : phase === 'synchronised';
    const live = this.#host.live();
    const isOpen = !record.live || live !== undefined;
    if (!isWhole || !isOpen || !digests || synchronisedAtMs === undefined) throw notWhole(record);
    if (live?.isProving) throw beingProven();
    await this.#host.takeBack();
    const position = await live?.hold((why) => this.end(`the journal had no room for more: ${why}`));
    const replica = { epoch: spec.epoch, synchronisedAtMs, digests, ...(position ? { position } : {}) };
    const hold = { id, replica, untilMs, over: new AbortController() };
    this.#now = hold;
    void this.#expire(hold);
    return hold;
  }

  async #expire(hold: Hold): Promise<void> {
    const { clock } = this.#host;
    const { signal } = hold.over;
    while (!signal.aborted && clock.now() < hold.untilMs) {
      await clock.sleep(hold.untilMs - clock.now(), signal).catch(() => undefined); // It has ended: the loop too.
    }
    if (!signal.aborted) this.end('its time was over and nobody had asked for more');
  }

  #whyEnded(id: string): string {
    return this.#ended?.id === id ? this.#ended.why : 'the appliance was restarted, or never held it';
  }
}

function heldByAnother({ id }: Hold): StandbyError {
  return new StandbyError({
    code: 'REPLICA_HELD',
    what: 'The disks of the replica are held still just now.',
    why: `A drill takes its snapshots of them (${id}).`,
    next: 'Try again in a few minutes.',
    retry: 'later',
  });
}

function holdEnded(why: string): StandbyError {
  return new StandbyError({
    code: 'HOLD_ENDED',
    what: 'The disks of the replica do not stand still any more.',
    why: `The hold is over: ${why}.`,
  });
}

function beingProven(): StandbyError {
  return new StandbyError({
    code: 'REPLICA_PROVING',
    what: 'The replica is being compared with its master just now.',
    next: 'Try again when that is over.',
    retry: 'later',
  });
}

function notWhole({ phase, error }: ReplicaRecord): StandbyError {
  return new StandbyError({
    code: 'REPLICA_NOT_WHOLE',
    what: 'The replica cannot be held at a position: it is not a whole copy, or does not follow its master.',
    why: `It is ${phase}.${error ? ` ${error.what}` : ''}`,
    next: 'Run the scenario until it is synchronised or replicating.',
  });
}

import { inputError, isStandbyError, type StandbyError } from '../errors.ts';
import { makeInTurn } from '../in-turn.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import { Applier } from './applier.ts';
import { clockOf, draftOf, type JournalChange, setProblem } from './change.ts';
import { FrameCodec, type FrameDraft, KIND, SEGMENT_HEADER_BYTES } from './frame.ts';
import { GroupCommit } from './group-commit.ts';
import { claimFolder, readBookmarks, type StoredBookmark, writeBookmarks } from './journal-folder.ts';
import type { JournalOptions, JournalState, JournalUsage, MarkFacts } from './journal-options.ts';
import { checkLimits, DEFAULT_LIMITS, type JournalLimits, type RewindLimits } from './limits.ts';
import type { Bookmark, Place, Position, Target } from './position.ts';
import { JournalDamaged, journalGap, journalLost, journalRefused } from './problems.ts';
import { after, type RedoEnd, RedoLog } from './redo-log.ts';
import { type JournalNotice, JournalSpace } from './space.ts';
import { type Amount, amountBehind, findTarget } from './targets.ts';
import { UndoLog } from './undo-log.ts';

/**
 * The journal of one scenario and epoch: changes come in, are durable, and are applied to the replica disks; and can be
 * taken back. Promises: an answered append, mark or bookmark survives any crash; the disks move from one consistent
 * position to another; nothing that does not fit is applied, cut or guessed: `state` says it, with the way out.
 * Dies at any line: openJournal finds the durable prefix, and `attach` finishes what was begun on the disks.
 */
function originOf(sequence: bigint): Place {
  return { sequence, segment: 1, offset: SEGMENT_HEADER_BYTES, timeMs: 0, consistent: true };
}

const STATE_OF: Readonly<Record<string, JournalState['kind']>> = {
  JOURNAL_FULL: 'full',
  JOURNAL_DISK_FULL: 'disk-full',
  JOURNAL_WRITE_FAILED: 'failed',
  JOURNAL_DAMAGED: 'damaged',
  REPLICA_INCONSISTENT: 'damaged',
};

export async function openJournal(options: JournalOptions): Promise<Journal> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  checkLimits(limits);
  const { files, folder, scenarioId, epoch, clock, seams } = options;
  const originSequence = options.originSequence ?? 0n;
  await claimFolder(files, folder, { ...options, originSequence });
  const notify = (notice: JournalNotice) => options.onNotice?.(notice);
  const stored = await readBookmarks(files, folder);
  if (!stored)
    notify({ code: 'BOOKMARKS_UNREADABLE', text: 'The bookmarks of this journal cannot be read.' });
  const room = new JournalSpace(limits, clock, notify);
  const codec = (log: 'redo' | 'undo') => new FrameCodec({ scenarioId, epoch, log }, seams?.checksum);
  const undo = await UndoLog.open(
    { files, folder, limits, room, codec: codec('undo') },
    originOf(originSequence),
  );
  let redo: RedoLog;
  try {
    room.serve(undefined, undo);
    redo = await RedoLog.open({ files, folder, limits, room, codec: codec('redo'), from: undo.position });
  } catch (error) {
    await undo.log.close();
    throw error;
  }
  if (undo.unreadable) notify({ code: 'UNDO_UNREADABLE', text: undo.unreadable.what });
  undo.dropBefore(redo.log.segments[0]?.number ?? 1);
  room.serve(redo, undo);
  return new Journal(options, limits, { redo, undo, room, bookmarks: stored ?? [] });
}

interface Parts {
  readonly redo: RedoLog;
  readonly undo: UndoLog;
  readonly room: JournalSpace;
  readonly bookmarks: readonly StoredBookmark[];
}

export class Journal {
  readonly #options: JournalOptions;
  readonly #limits: JournalLimits;
  readonly #redo: RedoLog;
  readonly #undo: UndoLog;
  readonly #room: JournalSpace;
  readonly #commit: GroupCommit;
  #bookmarks: readonly StoredBookmark[];
  #applier: Applier | undefined;
  #state: JournalState = { kind: 'ready' };
  /** What moves the replica goes one after the other. */
  readonly #oneByOne = makeInTurn();

  constructor(options: JournalOptions, limits: JournalLimits, parts: Parts) {
    this.#options = options;
    this.#limits = limits;
    this.#redo = parts.redo;
    this.#undo = parts.undo;
    this.#room = parts.room;
    this.#bookmarks = parts.bookmarks;
    this.#commit = new GroupCommit(parts.redo, limits);
    const damage = parts.undo.log.damage ?? parts.redo.log.damage;
    if (damage) this.#state = { kind: 'damaged', error: new JournalDamaged(damage) };
  }

  get state(): JournalState {
    return this.#state;
  }

  /** The last change that survives anything: the sender goes on behind it. */
  get durablePosition(): Position {
    return this.#position(this.#redo.end.sequence);
  }

  /** The last durable consistent position. */
  get markedPosition(): Position | undefined {
    const mark = this.#redo.lastMark;
    return mark && this.#position(mark.sequence);
  }

  get appliedPosition(): Position {
    return this.#position(this.#undo.position.sequence);
  }

  /** An atomic set is open behind the last durable change. */
  get isSetOpen(): boolean {
    return this.#redo.end.setOpen;
  }

  /** `false` while something on the disks is unfinished: the next `attach`, `applyTo` or `rewind` finishes it first. */
  get isReplicaConsistent(): boolean {
    const { position, unsettled, rewinding, log } = this.#undo;
    return position.consistent && !unsettled && !rewinding && !log.damage;
  }

  /**
   * Resolves when all of them are durable. A change that is here already is passed over, so a sender may repeat itself;
   * a hole (JOURNAL_GAP) or a change that cannot be refuses the whole call.
   */
  append(changes: readonly JournalChange[]): Promise<void> {
    return this.#told(this.#commit.add((end) => this.#draftsOf(changes, end)));
  }

  /** Everything up to this change is a consistent position. Resolves when that is durable. */
  mark(mark: MarkFacts): Promise<void> {
    return this.#addMark(KIND.mark, mark, (end) => {
      if (end.setOpen) throw setRefused(mark.sequence, 'an atomic set is open');
      return !end.marked;
    });
  }

  /** The set that is open behind this change will never be whole: its changes are passed over when it is their turn. */
  abandonSet(mark: MarkFacts): Promise<void> {
    return this.#addMark(KIND.abandon, mark, (end) => end.setOpen);
  }

  /** One that came before is passed over, like a change that came before. */
  #addMark(kind: number, mark: MarkFacts, isNew: (end: RedoEnd) => boolean): Promise<void> {
    const { sequence } = mark;
    return this.#told(
      this.#commit.add((end) => {
        this.#assertWhole();
        if (sequence > end.sequence) throw journalGap(end.sequence, sequence, sequence);
        if (sequence < end.sequence || !isNew(end)) return [];
        const clockMs = clockOf(mark.masterClockMs);
        return [{ kind, flags: 0, disk: 0, sequence, offsetBytes: 0, lengthBytes: 0, clockMs }];
      }),
    );
  }

  /** Names the last durable consistent position. Resolves when the name is durable. */
  bookmark(name: string): Promise<Bookmark> {
    return this.#inTurn(async () => {
      const mark = this.#redo.lastMark;
      if (!mark || this.#redo.log.damage) {
        const next = 'Wait until the scenario is synchronised and replicating.';
        throw journalRefused('NOTHING_TO_BOOKMARK', 'There is no consistent position to name yet.', next);
      }
      const before = this.#bookmarks.find((one) => one.name === name);
      if (before && before.sequence !== mark.sequence) {
        throw journalRefused(
          'BOOKMARK_EXISTS',
          `There is a bookmark ${name} already.`,
          'Choose another name.',
        );
      }
      const bookmark = { name, sequence: mark.sequence, timeMs: mark.timeMs };
      const kept = this.#bookmarks.filter((one) => one.name !== name && this.#isReachable(one));
      await writeBookmarks(this.#options.files, this.#options.folder, [...kept, bookmark]);
      this.#bookmarks = [...kept, bookmark];
      return this.#bookmarkOf(bookmark);
    });
  }

  /** Those to which the replica can be brought, back or forward. */
  bookmarks(): Bookmark[] {
    return this.#bookmarks.filter((one) => this.#isReachable(one)).map((one) => this.#bookmarkOf(one));
  }

  /** Throws JOURNAL_LOST when a change, or a mark, that somebody was told is durable is not here. */
  assertHolds(sequence: bigint, markSequence = 0n): void {
    const { end, lastMark } = this.#redo;
    if (sequence > end.sequence) throw journalLost(sequence, end.sequence);
    const marked = lastMark?.sequence ?? 0n;
    if (markSequence > marked) throw journalLost(markSequence, marked);
  }

  /**
   * Takes the replica disks, in whatever state a crash left them, to a consistent position. After it the disks belong to
   * the journal until `close`.
   */
  attach(devices: ReadonlyMap<string, BlockDevice>): Promise<void> {
    return this.#inTurn(async () => {
      const disks = this.#options.disks.map(({ diskId, sizeBytes }) => {
        const device = devices.get(diskId);
        if (device && device.sizeBytes >= sizeBytes) return device;
        const found = device ? `has ${device.sizeBytes} bytes of ${sizeBytes}` : 'is not there';
        throw inputError(
          'REPLICA_DISK_WRONG',
          `The replica disk of ${diskId} ${found}.`,
          'Attach the right disk.',
        );
      });
      this.#applier = new Applier({
        redo: this.#redo,
        undo: this.#undo,
        disks,
        limits: this.#limits,
        clock: this.#options.clock,
        isBoundary: (sequence) => this.#bookmarks.some((one) => one.sequence === sequence),
        ...(this.#options.seams ? { seams: this.#options.seams } : {}),
      });
      try {
        await this.#applier.settle();
      } catch (error) {
        // The replica is consistent all the same: it can be rewound and switched over to.
        if (!(error instanceof JournalDamaged) || !this.isReplicaConsistent) throw error;
      }
    });
  }

  /**
   * Applies up to a consistent position; without one, up to the last. `rewindable: false` keeps no old content, and
   * forgets what was kept before: for the changes that came while the replica was still being copied.
   */
  applyTo(upTo?: Target, options: { readonly rewindable?: boolean } = {}): Promise<Position> {
    return this.#moving(async (applier) => {
      const target = upTo ? await this.#find(upTo) : (this.#redo.lastMark ?? applier.position);
      if (target.sequence < applier.position.sequence) {
        const { damage } = this.#redo.log;
        if (!upTo && damage) throw new JournalDamaged(damage);
        throw wrongWay(target, applier.position, 'rewind');
      }
      await applier.forward(target.sequence, options.rewindable ?? this.#room.window.rewindMs > 0);
      if (!upTo && this.#redo.log.damage) throw new JournalDamaged(this.#redo.log.damage);
      await this.#room.trim();
    });
  }

  /**
   * Back to exactly the state of an earlier consistent position. What cannot be is refused and changes nothing; and so is
   * a way back from which nobody could come forward again, unless `oneWay` is asked for.
   */
  rewind(to: Target, options: { readonly oneWay?: boolean } = {}): Promise<Position> {
    return this.#moving(async (applier) => {
      const target = await this.#room.pinned(async () => {
        const found = await this.#find(to);
        if (found.sequence > applier.position.sequence) throw wrongWay(found, applier.position, 'forward');
        if (found.sequence === applier.position.sequence) return found;
        if (!options.oneWay) await applier.assertWayForward(found.boundary);
        await applier.back(found.boundary);
        return found;
      });
      await applier.forward(target.sequence, true);
    });
  }

  /** Another rewind window from now on; what a smaller one does not cover is forgotten at once. */
  keepRewind(window: RewindLimits): Promise<void> {
    this.#room.keep(window);
    return this.#inTurn(() => this.#room.trim());
  }

  /** Forward again after a rewind. */
  forward(to?: Target): Promise<Position> {
    return this.applyTo(to);
  }

  usage(): JournalUsage {
    const from = this.#room.windowStart ?? this.#undo.position;
    return {
      usedBytes: this.#room.usedBytes,
      limitBytes: this.#limits.spaceBytes,
      queuedBytes: this.#commit.queuedBytes,
      rewindBytes: this.#undo.keptBytes,
      window: this.#room.window,
      shrunkAtMs: this.#room.shrunkAtMs,
      rewindFrom: this.#position(from.sequence),
      rewindFromMs: from.timeMs,
      unappliedChanges: this.#redo.end.sequence - this.#undo.position.sequence,
      appliedAtMs: this.#undo.position.timeMs,
      markedAtMs: this.#redo.lastMark?.timeMs,
    };
  }

  /** Changes that are here and not on the replica, counted by reading their heads. */
  countUnapplied(): Promise<Amount> {
    return amountBehind(this.#redo, this.#undo.position);
  }

  /** Ends what is under way and lets go of the files; the disks are left to the caller. */
  async close(): Promise<void> {
    await this.#oneByOne(async () => undefined);
    await this.#commit.idle();
    await this.#redo.log.close();
    await this.#undo.log.close();
  }

  #draftsOf(changes: readonly JournalChange[], accepted: RedoEnd): FrameDraft[] {
    this.#assertWhole();
    const drafts: FrameDraft[] = [];
    let end = accepted;
    for (const change of changes) {
      const anything = this.#options.seams?.acceptsAnySequence ?? false;
      if (change.sequence <= end.sequence && !anything) continue;
      const follows = change.after ?? change.sequence - 1n;
      if (follows !== end.sequence && !anything) throw journalGap(end.sequence, follows, change.sequence);
      const draft = draftOf(change, this.#options.disks, this.#limits);
      const problem = setProblem(draft.flags, end.setOpen);
      if (problem && !anything) throw setRefused(change.sequence, problem);
      drafts.push(draft);
      end = after(end, draft);
    }
    return drafts;
  }

  #assertWhole(): void {
    const { damage } = this.#redo.log;
    if (damage) throw new JournalDamaged(damage);
  }

  /** Finds what somebody wants; the names of bookmarks are known here only. */
  #find(target: Target): ReturnType<typeof findTarget> {
    if (!('bookmark' in target)) return findTarget(this.#redo, this.#undo, target);
    const found = this.#bookmarks.find(({ name }) => name === target.bookmark);
    if (found) return findTarget(this.#redo, this.#undo, { sequence: found.sequence });
    const names = this.bookmarks().map(({ name }) => name);
    const next = names.length > 0 ? `Choose one of ${names.join(', ')}.` : 'There are none.';
    throw inputError('BOOKMARK_UNKNOWN', `There is no bookmark ${target.bookmark}.`, next);
  }

  #moving(act: (applier: Applier) => Promise<void>): Promise<Position> {
    return this.#inTurn(async () => {
      if (!this.#applier) throw new Error('attach comes before the disks are moved');
      if (!this.isReplicaConsistent) await this.#applier.settle();
      await act(this.#applier);
      return this.appliedPosition;
    });
  }

  #inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    return this.#oneByOne(() => this.#told(act()));
  }

  async #told<Result>(work: Promise<Result>): Promise<Result> {
    try {
      const result = await work;
      if (this.#state.kind === 'full' || this.#state.kind === 'disk-full') this.#state = { kind: 'ready' };
      return result;
    } catch (error) {
      const kind = isStandbyError(error) ? STATE_OF[error.code] : undefined;
      if (kind && isStandbyError(error) && this.#state.kind !== 'damaged') this.#state = { kind, error };
      if (error instanceof JournalDamaged) this.#redo.log.damage ??= error.damage;
      throw error;
    }
  }

  #isReachable({ sequence }: StoredBookmark): boolean {
    const start = this.#room.windowStart ?? this.#undo.position;
    return sequence >= start.sequence && sequence <= this.#redo.end.sequence;
  }

  #bookmarkOf({ name, sequence, timeMs }: StoredBookmark): Bookmark {
    return { name, position: this.#position(sequence), timeMs };
  }

  #position(sequence: bigint): Position {
    return { epoch: this.#options.epoch, sequence };
  }
}

function setRefused(sequence: bigint, why: string): StandbyError {
  const what = `Change ${sequence} cannot come here: ${why}.`;
  return journalRefused('ATOMIC_SET_ORDER', what, 'The sender ends or abandons the open set first.');
}

function wrongWay(target: Place, position: Place, verb: 'rewind' | 'forward'): StandbyError {
  const side = verb === 'rewind' ? 'before' : 'after';
  return journalRefused(
    'WRONG_WAY',
    `Position ${target.sequence} lies ${side} the replica’s ${position.sequence}.`,
    `Use ${verb}.`,
  );
}

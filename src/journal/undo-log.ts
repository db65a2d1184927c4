import type { JournalFiles } from './files.ts';
import { type Frame, type FrameCodec, type FrameDraft, KIND } from './frame.ts';
import { type JournalLimits, sparesMax, undoGroupBytes } from './limits.ts';
import { type LogPlace, SegmentedLog } from './log.ts';
import { decodePlace, encodePlaces, isAfter, type Place } from './position.ts';
import { JournalDamaged } from './problems.ts';
import type { SegmentRoom } from './segment-files.ts';

/**
 * What the replica held before it was changed, and where the replica is. Promises: `begin` resolves when the old
 * contents of a piece are durable and marked as begun, so the disks may be touched; the order of pieces can be taken
 * back as far as the stack reaches. Dies at any line: the last durable frame says whether a piece was under way
 * (apply it again), a rewind (go on with it), or nothing.
 */
export interface Piece {
  readonly from: Place;
  readonly to: Place;
  /** Its old contents are here: it can be taken back. */
  readonly kept: boolean;
  readonly at: LogPlace;
  readonly bytes: number;
  /** By the appliance's clock. */
  readonly appliedAtMs: number;
}

export interface OldContent {
  readonly disk: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Absent: zeros. */
  readonly data?: Buffer;
}

export interface UndoOptions {
  readonly files: JournalFiles;
  readonly folder: string;
  readonly codec: FrameCodec;
  readonly limits: JournalLimits;
  readonly room: SegmentRoom;
}

const FLAG_KEPT = 1;
const WITH_PAYLOAD = new Set<number>([KIND.piece, KIND.begun, KIND.rewinding, KIND.rewound, KIND.settled]);

export class UndoLog {
  readonly log: SegmentedLog;
  readonly #state: UndoState;
  /** Old pieces that cannot be read any more, found at the start. */
  readonly unreadable: JournalDamaged | undefined;

  private constructor(log: SegmentedLog, state: UndoState, unreadable: JournalDamaged | undefined) {
    this.log = log;
    this.#state = state;
    this.unreadable = unreadable;
  }

  static async open(options: UndoOptions, origin: Place): Promise<UndoLog> {
    const tail = new UndoState(origin);
    let entries = 0;
    // The last two segments in use say where the replica is; what is older only serves to go back further.
    const log = await SegmentedLog.open({
      files: options.files,
      folder: options.folder,
      codec: options.codec,
      segmentBytes: options.limits.segmentBytes,
      sparesMax: sparesMax(options.limits),
      groupBytes: undoGroupBytes(options.limits),
      fromSegment: 'last-two',
      room: options.room,
      keepPayload: (kind) => WITH_PAYLOAD.has(kind),
      visit: (frame, segment) => {
        entries++;
        return tail.take(frame, { segment: segment.number, offset: frame.offset });
      },
      expected: () => BigInt(entries),
    });
    const older = await readOlder(log, origin);
    return new UndoLog(log, older.state.followedBy(tail), older.unreadable);
  }

  get position(): Place {
    return this.#state.position;
  }

  get stack(): readonly Piece[] {
    return this.#state.stack;
  }

  /** The piece whose changes may be on the disks only in part. */
  get unsettled(): Piece | undefined {
    return this.#state.unsettled;
  }

  /** The piece that a start after a crash would apply again: its changes stay in the redo log. */
  get repeatable(): Piece | undefined {
    return this.#state.repeatable;
  }

  /** The place to which a rewind was under way. */
  get rewinding(): Place | undefined {
    return this.#state.rewinding;
  }

  get keptBytes(): number {
    return this.#state.bytes;
  }

  async begin(from: Place, to: Place, old: readonly OldContent[] | undefined, nowMs: number): Promise<void> {
    const payload = encodePlaces(from, to);
    const flags = old ? FLAG_KEPT : 0;
    const head = { ...control(KIND.piece, to.sequence, nowMs, payload), flags };
    const contents = (old ?? []).map(draftOfOld);
    const bytes = contents.reduce((sum, { lengthBytes, payload }) => sum + (payload ? lengthBytes : 0), 0);
    const piece = { ...head, lengthBytes: bytes };
    const before = { sequence: from.sequence, timeMs: from.timeMs };
    const at = await this.log.append([piece, ...contents], before);
    this.#state.push({ from, to, kept: old !== undefined, at, bytes, appliedAtMs: nowMs });
    await this.#add(KIND.begun, to, nowMs, payload, flags);
  }

  /** The disks hold everything of the last piece, durably. */
  async settle(nowMs: number): Promise<void> {
    await this.#add(KIND.settled, this.position, nowMs);
    this.#state.settle(this.position);
  }

  /** Told of every piece: the disks were synced. Nothing is written; a crash applies the piece again. */
  applied(): void {
    this.#state.unsettled = undefined;
  }

  async beginRewind(to: Place, nowMs: number): Promise<void> {
    await this.#add(KIND.rewinding, to, nowMs);
    this.#state.rewinding = to;
    await this.#add(KIND.rewinding, to, nowMs);
  }

  async endRewind(to: Place, nowMs: number): Promise<void> {
    await this.#add(KIND.rewound, to, nowMs);
    this.#state.rewound(to);
  }

  /** Old contents of a piece; throws JOURNAL_DAMAGED when one of them does not read back. */
  async contents(piece: Piece): Promise<OldContent[]> {
    const contents: OldContent[] = [];
    let inside = false;
    for await (const frame of this.log.read(piece.at)) {
      const isOld = frame.kind === KIND.oldData || frame.kind === KIND.oldZero;
      if (inside && !isOld) break;
      inside = true;
      if (!isOld) continue;
      const { disk, offsetBytes, lengthBytes } = frame;
      const data = frame.kind === KIND.oldData ? { data: frame.payload } : {};
      contents.push({ disk, offsetBytes, lengthBytes, ...data });
    }
    return contents;
  }

  /** Forgets the oldest pieces: the replica cannot be brought back behind the first that stays. */
  drop(count: number): void {
    this.#state.drop(count);
  }

  /** Pieces whose changes are gone from the redo log: nobody could come forward again. */
  dropBefore(redoSegment: number): void {
    this.drop(this.#state.stack.findLastIndex(({ from }) => from.segment < redoSegment) + 1);
  }

  #add(kind: number, place: Place, nowMs: number, payload?: Buffer, flags = 0): Promise<LogPlace> {
    const draft = control(kind, place.sequence, nowMs, payload ?? encodePlaces(place));
    return this.log.append([{ ...draft, flags }], { sequence: place.sequence, timeMs: place.timeMs });
  }
}

/** What the frames of an undo log say, one after the other. */
class UndoState {
  position: Place;
  stack: Piece[] = [];
  /** Of the stack: a day has hundreds of thousands of pieces, and this is asked for at each. */
  bytes = 0;
  unsettled: Piece | undefined;
  repeatable: Piece | undefined;
  rewinding: Place | undefined;
  /** Places from which a rewind of these frames took back pieces of earlier ones. */
  readonly #cuts: Place[] = [];
  #clears = false;
  #says = false;

  constructor(origin: Place) {
    this.position = origin;
  }

  take(frame: Frame & { readonly payload: Buffer }, at: LogPlace): string | undefined {
    const { kind, payload } = frame;
    if (kind === KIND.oldData || kind === KIND.oldZero) return undefined;
    if (!WITH_PAYLOAD.has(kind)) return `its kind is ${kind}`;
    this.#says = true;
    const place = decodePlace(payload, 0);
    if (kind === KIND.rewinding) this.rewinding = place;
    if (kind === KIND.rewound) this.rewound(place);
    if (kind === KIND.settled) this.settle(place);
    if (kind === KIND.piece || kind === KIND.begun) {
      const kept = (frame.flags & FLAG_KEPT) !== 0;
      const to = decodePlace(payload, 1);
      const piece = { from: place, to, kept, at, bytes: frame.lengthBytes, appliedAtMs: frame.clockMs };
      if (kind === KIND.piece) this.push(piece);
      // Its piece may lie in a segment before the first that is read here.
      else if (!this.unsettled) this.#resume(piece);
    }
    return undefined;
  }

  #resume(piece: Piece): void {
    this.unsettled = piece;
    this.repeatable = piece;
    this.position = piece.to;
  }

  push(piece: Piece): void {
    if (piece.kept) {
      this.stack.push(piece);
      this.bytes += piece.bytes;
    } else this.clear();
    this.#resume(piece);
  }

  drop(count: number): void {
    for (const { bytes } of this.stack.splice(0, count)) this.bytes -= bytes;
  }

  clear(): void {
    this.stack = [];
    this.bytes = 0;
    this.#clears = true;
  }

  settle(place: Place): void {
    this.position = place;
    this.unsettled = undefined;
    this.repeatable = undefined;
  }

  rewound(place: Place): void {
    this.#cuts.push(place);
    this.rewinding = undefined;
    this.cut(place);
    this.settle(place);
  }

  cut(place: Place): void {
    while (this.stack.length > 0 && isAfter(this.stack.at(-1)?.to ?? place, place)) {
      this.bytes -= this.stack.pop()?.bytes ?? 0;
    }
  }

  followedBy(tail: UndoState): UndoState {
    if (!tail.#says) return this;
    if (!tail.#clears) {
      for (const place of tail.#cuts) this.cut(place);
      // Not spread: there may be more pieces than a call may have arguments.
      tail.stack = [...this.stack, ...tail.stack];
      tail.bytes += this.bytes;
    }
    return tail;
  }
}

/** Only the heads of older pieces: their contents are checked when they are wanted. */
async function readOlder(
  log: SegmentedLog,
  origin: Place,
): Promise<{ state: UndoState; unreadable: JournalDamaged | undefined }> {
  let state = new UndoState(origin);
  let unreadable: JournalDamaged | undefined;
  for (const segment of log.unread) {
    try {
      for await (const frame of log.readSegment(segment, (kind) => WITH_PAYLOAD.has(kind))) {
        state.take(frame, { segment, offset: frame.offset });
      }
    } catch (error) {
      if (!(error instanceof JournalDamaged)) throw error;
      // Nothing at or before this can be taken back any more.
      unreadable = error;
      state = new UndoState(origin);
    }
  }
  return { state, unreadable };
}

function control(kind: number, sequence: bigint, clockMs: number, payload: Buffer): FrameDraft {
  return { kind, flags: 0, disk: 0, sequence, offsetBytes: 0, lengthBytes: 0, clockMs, payload };
}

function draftOfOld({ disk, offsetBytes, lengthBytes, data }: OldContent): FrameDraft {
  const facts = { flags: 0, disk, sequence: 0n, offsetBytes, lengthBytes, clockMs: 0 };
  return data ? { ...facts, kind: KIND.oldData, payload: data } : { ...facts, kind: KIND.oldZero };
}

import { setImmediate as soon } from 'node:timers/promises';
import type { QuickDevice } from '../block/open-device.ts';
import { Pace } from '../block/pace.ts';
import { isZero, zeros } from '../block/zeros.ts';
import type { Clock } from '../clock.ts';
import { isStandbyError, StandbyError } from '../errors.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import { endsSet, isChange, isOfSet } from './change.ts';
import { FRAME_BYTES, KIND } from './frame.ts';
import type { JournalLimits } from './limits.ts';
import type { LogFrame } from './log.ts';
import { type DiskOverlay, overlay } from './overlay.ts';
import { isAfter, type Place } from './position.ts';
import { JournalDamaged, rewindDamaged } from './problems.ts';
import type { RedoLog } from './redo-log.ts';
import type { OldContent, Piece, UndoLog } from './undo-log.ts';

/**
 * Brings the replica disks from one consistent position to another, in both directions. Promises: old content is durable
 * before it is overwritten; the redo of a piece is the same however often it is done; an operation that ends, ends at a
 * consistent position, and so does `settle` after a crash at any line, on all disks at once. Where the redo log turns out
 * to be damaged half-way, the replica goes back to its last consistent position.
 */
export interface ApplierParts {
  readonly redo: RedoLog;
  readonly undo: UndoLog;
  /** In the order of the journal's disks. */
  readonly disks: readonly ApplierDisk[];
  readonly limits: JournalLimits;
  readonly clock: Clock;
  /** Places that a rewind must be able to reach without going forward again. */
  isBoundary(sequence: bigint): boolean;
  /** Tests only: to prove that they would notice. */
  readonly seams?: ApplierSeams;
}

/** Short reads and writes are made at once where a disk can. */
type ApplierDisk = BlockDevice & Partial<Pick<QuickDevice, 'readNow' | 'writeNow'>>;

export interface ApplierSeams {
  changes?(changes: LogFrame[]): LogFrame[];
  oldContents?(old: OldContent[]): OldContent[];
  /** One that does not depend on how busy a machine is. */
  readonly pace?: Pace;
}

interface Step {
  readonly from: Place;
  readonly to: Place;
  readonly changes: LogFrame[];
}

/** Scattered changes are many short calls: at once, as long as they only touch the page cache. */
const SHORT_BYTES_MAX = 64 * 1024;
/** After so much at once everybody else has a turn. */
const TURN_BYTES = 256 * 1024;

export class Applier {
  readonly #parts: ApplierParts;
  readonly #pace: Pace;
  #turnBytes = 0;

  constructor(parts: ApplierParts) {
    this.#parts = parts;
    this.#pace = parts.seams?.pace ?? new Pace();
  }

  get position(): Place {
    return this.#parts.undo.position;
  }

  /** Finishes what a crash or a failed write interrupted. */
  async settle(): Promise<void> {
    const { undo } = this.#parts;
    if (undo.log.damage) throw new JournalDamaged(undo.log.damage);
    try {
      if (undo.rewinding) await this.#finishRewind(undo.rewinding);
      if (undo.unsettled) await this.#again(undo.unsettled);
      if (!this.position.consistent) await this.#run(this.position.sequence, true);
    } catch (error) {
      if (!(error instanceof JournalDamaged)) throw error;
      if (undo.rewinding) throw replicaInconsistent(error);
      if (undo.unsettled || !this.position.consistent) await this.#fallBack(error);
      throw error;
    }
  }

  /** To a mark at or after the position; the caller knows that it is there. */
  async forward(until: bigint, keepOld: boolean): Promise<void> {
    try {
      await this.#run(until, keepOld);
    } catch (error) {
      if (error instanceof JournalDamaged && !this.position.consistent) await this.#fallBack(error);
      throw error;
    }
  }

  /** To the start of a piece. What cannot be read changes nothing. */
  async back(to: Place): Promise<void> {
    const { undo, clock } = this.#parts;
    const bad = await this.#unreadableAfter(to);
    if (bad) {
      this.#forgetThrough(bad.piece);
      throw rewindDamaged(bad.damage, 'Rewind to a later position, or stay where the replica is.');
    }
    await undo.beginRewind(to, clock.now());
    await this.#takeBack(to);
  }

  /** A rewind that a crash interrupted; when its old contents do not read back, all of it is undone again by redo. */
  async #finishRewind(to: Place): Promise<void> {
    const { undo, clock, disks } = this.#parts;
    const bad = await this.#unreadableAfter(to);
    const first = this.#piecesAfter(to)[0];
    const reaches = first === undefined ? !isAfter(this.position, to) : !isAfter(first.from, to);
    if (!bad && reaches) return await this.#takeBack(to);
    await this.#redo(to, this.position);
    for (const disk of disks) await disk.sync();
    await undo.endRewind(this.position, clock.now());
    if (bad) this.#forgetThrough(bad.piece);
  }

  async #unreadableAfter(to: Place): Promise<{ piece: Piece; damage: JournalDamaged } | undefined> {
    for (const piece of this.#piecesAfter(to).toReversed()) {
      const damage = await damageIn(() => this.#parts.undo.contents(piece));
      if (damage) return { piece, damage };
    }
    return undefined;
  }

  /** Nobody comes back behind this piece any more. */
  #forgetThrough(piece: Piece): void {
    const { undo } = this.#parts;
    undo.drop(undo.stack.indexOf(piece) + 1);
  }

  /** Is everything there that brings the replica forward again from here? */
  async assertWayForward(from: Place): Promise<void> {
    const damage = await damageIn(async () => {
      for await (const frame of this.#parts.redo.log.read(from)) {
        if (!isAfter(this.position, placeBehind(frame, from))) break;
      }
    });
    if (damage) {
      const next = 'Rewind one way, if the replica need never come forward again; or stay where it is.';
      throw rewindDamaged(damage, next);
    }
  }

  async #takeBack(to: Place): Promise<void> {
    const { undo, clock } = this.#parts;
    for (const piece of this.#piecesAfter(to).toReversed()) {
      for (const { disk, offsetBytes, lengthBytes, data } of await undo.contents(piece)) {
        await this.#write(disk, offsetBytes, lengthBytes, data);
      }
    }
    for (const disk of this.#parts.disks) await disk.sync();
    await undo.endRewind(to, clock.now());
  }

  #piecesAfter(to: Place): Piece[] {
    return this.#parts.undo.stack.filter((piece) => isAfter(piece.to, to));
  }

  async #fallBack(damage: JournalDamaged): Promise<void> {
    const { undo } = this.#parts;
    const to = undo.stack.findLast(({ from }) => from.consistent)?.from;
    if (!to) throw replicaInconsistent(damage);
    try {
      await this.back(to);
    } catch (error) {
      if (isStandbyError(error) && error.code === 'REWIND_DAMAGED') throw replicaInconsistent(damage);
      throw error;
    }
  }

  async #run(until: bigint, keepOld: boolean): Promise<void> {
    const { undo, clock } = this.#parts;
    let moved = false;
    while (this.position.sequence < until || !this.position.consistent) {
      const step = await this.#collect(this.position, until);
      const overlays = overlay(this.#parts.seams?.changes?.(step.changes) ?? step.changes);
      await undo.begin(
        step.from,
        step.to,
        keepOld ? await this.#oldContents(overlays) : undefined,
        clock.now(),
      );
      await this.#writeAll(overlays);
      undo.applied();
      moved = true;
    }
    if (moved) await undo.settle(clock.now());
  }

  /** The same changes again: their old contents are kept already. */
  async #again({ from, to }: Piece): Promise<void> {
    const { undo, clock } = this.#parts;
    await this.#redo(from, to);
    await undo.settle(clock.now());
  }

  async #redo(from: Place, to: Place): Promise<void> {
    for (let at = from; isAfter(to, at); ) {
      const step = await this.#collect(at, to.sequence, to);
      await this.#writeAll(overlay(step.changes));
      at = step.to;
    }
  }

  /** Changes from a place on: as many as fit into a piece, and no further than `end`, or than a mark that ends it. */
  async #collect(from: Place, until: bigint, end?: Place): Promise<Step> {
    const { redo, limits } = this.#parts;
    const changes: LogFrame[] = [];
    let to = from;
    let bytes = 0;
    let abandoned: boolean | undefined;
    for await (const frame of redo.log.read(from)) {
      if (end && !isAfter(end, to)) break;
      const fits = isChange(frame) ? frame.sequence > to.sequence : frame.sequence === to.sequence;
      if (!fits) throw outOfOrder(redo, frame, to);
      if (isChange(frame)) {
        const cost = frame.lengthBytes + 2 * FRAME_BYTES;
        if (bytes > 0 && bytes + cost > limits.pieceBytes) break;
        if (isOfSet(frame)) abandoned ??= await this.#isAbandoned(frame);
        if (!abandoned) changes.push(frame);
        if (!abandoned) bytes += cost;
        if (endsSet(frame)) abandoned = undefined;
      }
      if (frame.kind === KIND.abandon) abandoned = undefined;
      to = placeBehind(frame, to);
      if (!end && to.consistent && (to.sequence >= until || this.#parts.isBoundary(to.sequence))) break;
    }
    if (to === from) throw endsTooEarly(redo, from);
    return { from, to, changes };
  }

  /** Looks ahead to the end of the set that this change belongs to. */
  async #isAbandoned(change: LogFrame): Promise<boolean> {
    const place = { segment: change.segment, offset: change.offset };
    for await (const frame of this.#parts.redo.log.read(place, () => false)) {
      if (frame.kind === KIND.abandon) return true;
      if (endsSet(frame)) return false;
    }
    return true;
  }

  async #oldContents(overlays: readonly DiskOverlay[]): Promise<OldContent[]> {
    const old: OldContent[] = [];
    for (const { disk, covered } of overlays) {
      for (const range of covered) {
        for (let start = range.start; start < range.end; start += this.#parts.limits.changeBytes) {
          const length = Math.min(this.#parts.limits.changeBytes, range.end - start);
          const data = Buffer.allocUnsafe(length);
          await this.#read(disk, data, start);
          const facts = { disk, offsetBytes: start, lengthBytes: length };
          old.push(isZero(data) ? facts : { ...facts, data });
        }
      }
    }
    return this.#parts.seams?.oldContents?.(old) ?? old;
  }

  async #writeAll(overlays: readonly DiskOverlay[]): Promise<void> {
    for (const { disk, writes } of overlays) {
      for (const { start, end, data } of writes) await this.#write(disk, start, end - start, data);
    }
    for (const { disk } of overlays) await this.#disk(disk).sync();
  }

  async #write(disk: number, offsetBytes: number, lengthBytes: number, data?: Buffer): Promise<void> {
    const device = this.#disk(disk);
    const bytes = data ?? zeros(lengthBytes);
    const { writeNow } = device;
    if (!writeNow || !this.#isQuick(lengthBytes)) return await device.write(bytes, offsetBytes);
    this.#pace.make(() => writeNow.call(device, [bytes], offsetBytes));
    await this.#afterTurn(lengthBytes);
  }

  async #read(disk: number, target: Buffer, offsetBytes: number): Promise<void> {
    const device = this.#disk(disk);
    const { readNow } = device;
    if (!readNow || !this.#isQuick(target.length)) return await device.read(target, offsetBytes);
    this.#pace.make(() => readNow.call(device, target, offsetBytes));
    await this.#afterTurn(target.length);
  }

  #isQuick(lengthBytes: number): boolean {
    return lengthBytes <= SHORT_BYTES_MAX && this.#pace.isQuick();
  }

  async #afterTurn(lengthBytes: number): Promise<void> {
    this.#turnBytes += lengthBytes;
    if (this.#turnBytes < TURN_BYTES) return;
    this.#turnBytes = 0;
    await soon();
  }

  #disk(index: number): ApplierDisk {
    const disk = this.#parts.disks[index];
    if (!disk) throw new RangeError(`the journal has no disk ${index}`);
    return disk;
  }
}

async function damageIn(act: () => Promise<unknown>): Promise<JournalDamaged | undefined> {
  try {
    await act();
    return undefined;
  } catch (error) {
    if (error instanceof JournalDamaged) return error;
    throw error;
  }
}

/** Follows the frames of a redo log: where the replica is once this one is on it. */
export function placeBehind(frame: LogFrame, before: Place): Place {
  return {
    sequence: frame.sequence,
    segment: frame.segment,
    offset: frame.end,
    timeMs: Math.max(before.timeMs, frame.clockMs),
    consistent: frame.kind === KIND.mark,
  };
}

function replicaInconsistent(damage: JournalDamaged): StandbyError {
  return new StandbyError({
    code: 'REPLICA_INCONSISTENT',
    what: 'The replica is between two consistent positions and can be brought to neither.',
    why: damage.what,
    next: 'Resynchronise the scenario. Do not switch over to this replica.',
    cause: damage,
  });
}

/** Looked at by the scan at the start already; here it keeps whatever went wrong since then off the disks. */
function outOfOrder(redo: RedoLog, frame: LogFrame, after: Place): JournalDamaged {
  return new JournalDamaged({
    segment: redo.log.files.name(frame.segment),
    offsetBytes: frame.offset,
    sequence: frame.sequence,
    why: `it comes behind change ${after.sequence}`,
  });
}

function endsTooEarly(redo: RedoLog, from: Place): JournalDamaged {
  if (redo.log.damage) return new JournalDamaged(redo.log.damage);
  const { segment, offset } = redo.log.end;
  const why = 'the journal ends here, and a consistent position was expected';
  return new JournalDamaged({
    segment: redo.log.files.name(segment),
    offsetBytes: offset,
    sequence: from.sequence + 1n,
    why,
  });
}

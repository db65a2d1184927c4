import { FLAG, type Frame, type FrameDraft, KIND } from './frame.ts';
import type { JournalLimits } from './limits.ts';
import { journalRefused } from './problems.ts';

/** One change of one disk of the master, in the order in which the master saw it. */
export interface JournalChange {
  /** The sender's number: it grows within an epoch and may skip. */
  readonly sequence: bigint;
  /** The change it follows; the one numbered one less unless told. Whatever is not behind that one is a gap. */
  readonly after?: bigint;
  readonly diskId: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** A trimmed range reads as zeros on the replica. */
  readonly kind: 'data' | 'zero' | 'trim';
  /** Exactly `lengthBytes` for `data`. Left alone by the caller until the append is answered. */
  readonly data?: Uint8Array;
  readonly masterClockMs: number;
  /** Changes of one atomic set are applied together or not at all. A set of one change needs no word. */
  readonly set?: 'first' | 'inside' | 'last';
}

export interface JournalDisk {
  readonly diskId: string;
  readonly sizeBytes: number;
}

const SET_FLAGS = { first: FLAG.setFirst, inside: FLAG.setInside, last: FLAG.setLast } as const;
const ANY_SET = FLAG.setFirst | FLAG.setInside | FLAG.setLast;

export function isChange(frame: { readonly kind: number }): boolean {
  return frame.kind === KIND.data || frame.kind === KIND.zero || frame.kind === KIND.trim;
}

export function isOfSet(frame: Frame): boolean {
  return (frame.flags & ANY_SET) !== 0;
}

export function endsSet(frame: Frame): boolean {
  return (frame.flags & FLAG.setLast) !== 0;
}

/** Does a set stay open behind this frame? */
export function leavesSetOpen(frame: { readonly kind: number; readonly flags: number }): boolean {
  return isChange(frame) && (frame.flags & (FLAG.setFirst | FLAG.setInside)) !== 0;
}

/** Why a change may not come here in the order of sets; undefined when it may. */
export function setProblem(flags: number, setOpen: boolean): string | undefined {
  const opens = (flags & ANY_SET) === 0 || (flags & FLAG.setFirst) !== 0;
  if (setOpen && opens) return 'an atomic set is still open before it';
  if (!setOpen && !opens) return 'it belongs to an atomic set that was never opened';
  return undefined;
}

/** Throws when the change cannot be; nothing of it was kept then. */
export function draftOf(
  change: JournalChange,
  disks: readonly JournalDisk[],
  limits: JournalLimits,
): FrameDraft {
  const { sequence, diskId, offsetBytes, lengthBytes, kind, data } = change;
  const refuse = (why: string) =>
    journalRefused('CHANGE_INVALID', `Change ${sequence} cannot be kept: ${why}.`, 'The sender is at fault.');
  const disk = disks.findIndex((one) => one.diskId === diskId);
  const found = disks[disk];
  if (!found) throw refuse(`there is no disk ${diskId}`);
  const whole = Number.isSafeInteger(offsetBytes) && Number.isSafeInteger(lengthBytes);
  if (!whole || offsetBytes < 0 || lengthBytes <= 0 || offsetBytes + lengthBytes > found.sizeBytes) {
    throw refuse(`${lengthBytes} bytes at ${offsetBytes} lie outside ${diskId} (${found.sizeBytes} bytes)`);
  }
  if (lengthBytes > limits.changeBytes) throw refuse(`it is longer than ${limits.changeBytes} bytes`);
  if (kind === 'data' ? data?.length !== lengthBytes : data !== undefined) {
    throw refuse(`its data are not ${kind === 'data' ? `${lengthBytes} bytes` : 'absent'}`);
  }
  return {
    kind: KIND[kind],
    flags: change.set ? SET_FLAGS[change.set] : 0,
    disk,
    sequence,
    offsetBytes,
    lengthBytes,
    clockMs: clockOf(change.masterClockMs),
    payload: data,
  };
}

/** A frame holds whole milliseconds since 1970; a clock that says something else counts as the nearest of them. */
export function clockOf(ms: number): number {
  return Number.isFinite(ms) ? Math.min(Math.max(0, Math.round(ms)), Number.MAX_SAFE_INTEGER) : 0;
}

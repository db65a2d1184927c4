/** A place in a journal, as the rest of the house sees it: an epoch is one synchronisation. */
export interface Position {
  readonly epoch: number;
  readonly sequence: bigint;
}

/** A consistent position with a name. */
export interface Bookmark {
  readonly name: string;
  readonly position: Position;
  /** By the master's clock. */
  readonly timeMs: number;
}

/** Where the replica is, or may be brought: the next change to apply lies at `segment` and `offset` of the redo log. */
export interface Place {
  /** The last change that is on the replica. */
  readonly sequence: bigint;
  readonly segment: number;
  readonly offset: number;
  /** The latest clock of the master up to here. */
  readonly timeMs: number;
  readonly consistent: boolean;
}

export type Target =
  | { readonly sequence: bigint }
  /** The last consistent position at or before this number of the stream. */
  | { readonly notAfter: bigint }
  | { readonly bookmark: string }
  /** The last consistent position whose time is not later. */
  | { readonly timeMs: number };

const PLACE_BYTES = 40;

export function isAfter(a: Place, b: Place): boolean {
  return a.segment > b.segment || (a.segment === b.segment && a.offset > b.offset);
}

export function encodePlaces(...places: readonly Place[]): Buffer {
  const bytes = Buffer.alloc(places.length * PLACE_BYTES);
  for (const [index, place] of places.entries()) {
    const at = index * PLACE_BYTES;
    bytes.writeBigUInt64LE(place.sequence, at);
    bytes.writeBigUInt64LE(BigInt(place.segment), at + 8);
    bytes.writeBigUInt64LE(BigInt(place.offset), at + 16);
    bytes.writeBigUInt64LE(BigInt(place.timeMs), at + 24);
    bytes.writeUInt8(place.consistent ? 1 : 0, at + 32);
  }
  return bytes;
}

export function decodePlace(bytes: Buffer, index: number): Place {
  const at = index * PLACE_BYTES;
  return {
    sequence: bytes.readBigUInt64LE(at),
    segment: Number(bytes.readBigUInt64LE(at + 8)),
    offset: Number(bytes.readBigUInt64LE(at + 16)),
    timeMs: Number(bytes.readBigUInt64LE(at + 24)),
    consistent: bytes.readUInt8(at + 32) === 1,
  };
}

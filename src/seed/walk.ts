import { CHUNK_BYTES } from '../block/chunks.ts';
import { BODY_BYTES_MAX, type End, RECORD, RECORD_HEAD_BYTES } from './format.ts';
import { LeafTable } from './leaf-table.ts';
import { damaged } from './problems.ts';
import { indexOf, type OpenSeed, type PlacedRecord, parseEnd, readLeaves, readRecord } from './reader.ts';
import type { SeedProgress, Tempo } from './tempo.ts';
import { type UnpackedChunk, unpackChunk } from './unpack.ts';

/**
 * Reads a seed's records in order, holds every chunk to its seal, its leaf and its index, and all of them to the digests
 * at the end. Memory: a few chunks, and 32 bytes for each MiB of disk.
 */
export interface WalkPlace {
  readonly offset: number;
  readonly sequence: number;
  readonly lastIndex: number;
}

export interface WalkSteps {
  /** Several at once, and never two of the same chunk. */
  onChunk(chunk: UnpackedChunk): Promise<void>;
  /** Every chunk before this place was found right, and what `onChunk` did with it is over. */
  onIndex(place: WalkPlace, dataBytes: number): Promise<void>;
}

export interface WalkOptions {
  readonly seed: OpenSeed;
  readonly from: WalkPlace;
  readonly what: SeedProgress['what'];
  readonly tempo: Tempo;
  readonly signal: AbortSignal;
  onProgress?(progress: SeedProgress): void;
}

/** Chunks in work at once; each has buffers of its own. */
const IN_FLIGHT = 4;

export async function walkSeed(
  options: WalkOptions,
  steps: WalkSteps,
): Promise<{ end: End; leaves: LeafTable }> {
  const { seed, from } = options;
  const known = from.lastIndex === 0 ? undefined : await readLeaves(seed, from.lastIndex);
  const leaves = known?.leaves ?? (await LeafTable.make(seed.manifest));
  const group = new Group(seed, steps);
  try {
    const end = await walk(options, steps, group, leaves);
    assertDigests(seed, end, leaves);
    return { end, leaves };
  } finally {
    await group.quiet();
  }
}

async function walk(
  { seed, from, what, tempo, signal, onProgress }: WalkOptions,
  steps: WalkSteps,
  group: Group,
  leaves: LeafTable,
): Promise<End> {
  const totalBytes = seed.slot.offset;
  let { offset, sequence } = from;
  for (;;) {
    signal.throwIfAborted();
    const room = await group.room();
    const record = await readRecord(seed, { offset, sequence }, room.record);
    const place = { offset: record.next, sequence: sequence + 1 };
    if (record.head.type === RECORD.end) return parseEnd(seed.medium, record);
    if (record.head.type === RECORD.chunk) group.take(record, room);
    else {
      const { dataBytes } = await group.settle(record);
      for (const leaf of group.checked.splice(0)) leaves.add(leaf);
      await steps.onIndex({ ...place, lastIndex: offset }, dataBytes);
    }
    await tempo.add(record.next - offset, signal);
    ({ offset, sequence } = place);
    onProgress?.({ what, doneBytes: offset, totalBytes, bytesPerSecond: tempo.perSecond });
  }
}

interface Room {
  readonly record: Buffer;
  readonly chunk: Buffer;
  free: Promise<unknown>;
}

/** The chunks since the last index. */
class Group {
  readonly checked: UnpackedChunk[] = [];
  readonly #seed: OpenSeed;
  readonly #steps: WalkSteps;
  readonly #rooms: Room[] = Array.from({ length: IN_FLIGHT }, () => ({
    record: Buffer.allocUnsafeSlow(RECORD_HEAD_BYTES + BODY_BYTES_MAX + 64),
    chunk: Buffer.allocUnsafeSlow(CHUNK_BYTES),
    free: Promise.resolve(),
  }));

  constructor(seed: OpenSeed, steps: WalkSteps) {
    this.#seed = seed;
    this.#steps = steps;
  }

  /** The one that was taken first. */
  async room(): Promise<Room> {
    const room = this.#rooms.shift();
    if (!room) throw new RangeError('every room is taken');
    this.#rooms.push(room);
    await room.free;
    return room;
  }

  take(record: PlacedRecord, room: Room): void {
    const { medium, manifest } = this.#seed;
    const work = unpackChunk(medium, manifest, record, room.chunk).then(async (chunk) => {
      await this.#steps.onChunk(chunk);
      // Its bytes are another chunk's soon.
      this.checked.push({ ...chunk, bytes: room.chunk.subarray(0, 0) });
    });
    work.catch(() => undefined); // Awaited by whoever needs the room next, or by settle.
    room.free = work;
  }

  /** Nothing is in work when this returns. */
  async quiet(): Promise<void> {
    await Promise.allSettled(this.#rooms.map(({ free }) => free));
  }

  /** Waits for all, and holds them to their index. */
  async settle(record: PlacedRecord): Promise<{ dataBytes: number }> {
    await Promise.all(this.#rooms.map(({ free }) => free));
    const { medium } = this.#seed;
    const index = indexOf(medium, record);
    const nameOf = ({ disk, chunk, leaf }: { disk: number; chunk: number; leaf: Uint8Array }) =>
      `${disk}/${chunk}/${Buffer.from(leaf).toString('hex')}`;
    const wanted = index.leaves.map(nameOf).sort();
    const found = this.checked.map(nameOf).sort();
    if (wanted.join() === found.join()) return index;
    throw damaged(
      medium.path,
      `before byte ${record.offset}`,
      'Its chunks are not those that its index names.',
    );
  }
}

function assertDigests(seed: OpenSeed, end: End, leaves: LeafTable): void {
  if (JSON.stringify(leaves.digests()) === JSON.stringify(end.digests)) return;
  throw damaged(seed.medium.path, 'as a whole', 'Its chunks do not make up the disks that it says it holds.');
}

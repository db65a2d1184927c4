import { CHUNK_BYTES, ChunkSet, chunkCount, chunkLength } from '../block/chunks.ts';
import { LEAF_BYTES, leafOf, rootOf } from '../block/digest.ts';
import type { DiskDigest } from '../model/scenario.ts';
import type { Leaf, Manifest } from './format.ts';

/**
 * The leaves of a seed's disks (docs/WIRE.md): those that are known, and everything else as zeros, which is what a seed
 * leaves out. 32 bytes for each MiB of disk.
 */
export class LeafTable {
  readonly #disks: Manifest['disks'];
  readonly #leaves: readonly Buffer[];
  /** By disk: the chunks that a seed holds. */
  readonly held: readonly ChunkSet[];

  private constructor(disks: Manifest['disks'], leaves: readonly Buffer[]) {
    this.#disks = disks;
    this.#leaves = leaves;
    this.held = disks.map(({ sizeBytes }) => new ChunkSet(chunkCount(sizeBytes)));
  }

  static async make({ disks }: Manifest): Promise<LeafTable> {
    const whole = await leafOf(Buffer.alloc(CHUNK_BYTES));
    const leaves: Buffer[] = [];
    for (const { sizeBytes } of disks) {
      const count = chunkCount(sizeBytes);
      const table = Buffer.alloc(count * LEAF_BYTES);
      for (let chunk = 0; chunk < count - 1; chunk++) table.set(whole, chunk * LEAF_BYTES);
      const last = await leafOf(Buffer.alloc(chunkLength(sizeBytes, count - 1)));
      table.set(last, (count - 1) * LEAF_BYTES);
      leaves.push(table);
    }
    return new LeafTable(disks, leaves);
  }

  /** False when no disk has such a chunk. */
  add({ disk, chunk, leaf }: Leaf): boolean {
    const held = this.held[disk];
    if (!held || chunk >= held.length) return false;
    held.add(chunk);
    this.#leaves[disk]?.set(leaf, chunk * LEAF_BYTES);
    return true;
  }

  get chunks(): number {
    return this.held.reduce((sum, { count }) => sum + count, 0);
  }

  digests(): DiskDigest[] {
    return this.#disks.map(({ diskId, sizeBytes }, disk) => {
      return { diskId, digest: rootOf(sizeBytes, this.#leaves[disk] ?? Buffer.alloc(0)), sizeBytes };
    });
  }
}

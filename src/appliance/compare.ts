import { CHUNK_BYTES } from '../block/chunks.ts';
import { type DiskProof, differingChunks, proveDisk } from '../block/digest.ts';
import { StandbyError } from '../errors.ts';
import type { DiskDigest } from '../model/scenario.ts';
import type { Connection } from '../wire/connection.ts';
import type { KeptSignatures } from './kept-signatures.ts';
import type { ReceivingDisk } from './receiver.ts';

/**
 * The end of a copy: our own proof of every disk, by reading all of it again, against the master's. Nothing that is kept
 * of a disk counts here; but what is read here need not be read by the next comparison.
 */
export interface OwnProof extends DiskProof {
  readonly disk: ReceivingDisk;
}

export async function proveReplica(
  disks: readonly ReceivingDisk[],
  signal: AbortSignal,
): Promise<OwnProof[]> {
  const proofs: OwnProof[] = [];
  for (const disk of disks) {
    const { device, sizeBytes, signatures } = disk;
    const onRead = signatures && ((index: number) => learnerOf(signatures, index));
    proofs.push({ disk, ...(await proveDisk(device, { sizeBytes, signal, ...(onRead ? { onRead } : {}) })) });
  }
  return proofs;
}

function learnerOf(
  signatures: KeptSignatures,
  index: number,
): ((chunk: Buffer) => Promise<void>) | undefined {
  const watch = signatures.watch(index);
  return watch && ((chunk) => signatures.learn(watch, chunk));
}

export interface Difference {
  readonly disk: ReceivingDisk;
  readonly chunks: readonly number[];
}

/**
 * Asks the master for the leaves of the disks whose roots differ. The master looked at its disks' identity after its
 * proof and found them unchanged, so what differs is the replica's fault, and only there.
 */
export async function findDifferences(
  session: Connection,
  scenarioId: string,
  proofs: readonly OwnProof[],
  theirs: readonly DiskDigest[],
  method: 'copyLeaves' | 'streamLeaves' = 'copyLeaves',
): Promise<Difference[]> {
  const differences: Difference[] = [];
  for (const { disk, digest, leaves } of proofs) {
    const other = theirs.find((one) => one.diskId === disk.diskId);
    if (other?.digest === digest) continue;
    const chunks = differingChunks(
      leaves,
      await fetchLeaves(session, method, { scenarioId, diskId: disk.diskId, length: leaves.length }),
    );
    differences.push({ disk, chunks });
  }
  return differences;
}

async function fetchLeaves(
  session: Connection,
  method: 'copyLeaves' | 'streamLeaves',
  { scenarioId, diskId, length }: { scenarioId: string; diskId: string; length: number },
): Promise<Buffer> {
  const leaves = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const answer = await session.request(method, { scenarioId, diskId, fromByte: at });
    const slice = Buffer.from(answer.leaves, 'base64');
    if (slice.length === 0 || answer.totalBytes !== length) {
      throw new StandbyError({ code: 'PROTOCOL_BROKEN', what: 'The master sent leaves of another disk.' });
    }
    at += slice.copy(leaves, at);
  }
  return leaves;
}

export function replicaDiffers(differences: readonly Difference[]): StandbyError {
  const named = differences.map(({ disk, chunks }) => {
    const first = (chunks[0] ?? 0) * CHUNK_BYTES;
    return `${disk.diskId}: ${chunks.length} MiB block${chunks.length === 1 ? '' : 's'}, the first at byte ${first}`;
  });
  return new StandbyError({
    code: 'REPLICA_DIFFERS',
    what: 'The replica is not equal to the master although every block was checked.',
    why: `The master's disks did not change; the replica differs (${named.join('; ')}).`,
    next: 'Run the scenario again: only these blocks are copied again. If it comes back, the data disk is broken.',
  });
}

import { type DiskProof, proveDisk } from '../block/digest.ts';
import { openDevice } from '../block/open-device.ts';
import { StandbyError } from '../errors.ts';
import { readDiskMark } from '../guest/disk-mark.ts';
import type { DiskDigest } from '../model/scenario.ts';
import type { Checksum } from '../wire/checksum.ts';
import type { Connection, LaneFrames } from '../wire/connection.ts';
import type { RestoreOffer, RestoreSpec } from '../wire/restore-messages.ts';
import { assertLun, lunPath } from './luns.ts';
import { type RestoreCounters, type RestoreDisk, RestoreLane } from './restore-lane.ts';

/**
 * The disks of one restore, open for reading, with the lanes that are sent from them. Promises: it writes nothing; its
 * proof is read from the disks once and holds, as nobody writes them while it is open. It keeps nothing on disk.
 */
export interface SourceParts {
  readonly lunsFolder: string;
  readonly checksum: Checksum;
  /** Proofs of this appliance, one at a time. */
  readonly hashing: <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T>;
  onFailure(error: unknown): void;
}

export class RestoreSource {
  readonly spec: RestoreSpec;
  readonly #parts: SourceParts;
  readonly #disks: readonly RestoreDisk[];
  readonly #marks: readonly (string | undefined)[];
  readonly #lanes = new Set<RestoreLane>();
  readonly #over = new AbortController();
  #attempt = '';
  #proof: Promise<ReadonlyMap<string, DiskProof>> | undefined;
  counters: RestoreCounters = noCounters();

  private constructor(
    spec: RestoreSpec,
    parts: SourceParts,
    disks: readonly RestoreDisk[],
    marks: readonly (string | undefined)[],
  ) {
    this.spec = spec;
    this.#parts = parts;
    this.#disks = disks;
    this.#marks = marks;
  }

  /** Throws LUN_ABSENT or LUN_TOO_SMALL. */
  static async open(spec: RestoreSpec, parts: SourceParts): Promise<RestoreSource> {
    const { lunsFolder } = parts;
    for (const disk of spec.disks) await assertLun(lunsFolder, disk.lun, disk.sizeBytes);
    const disks: RestoreDisk[] = [];
    const marks: (string | undefined)[] = [];
    try {
      for (const { diskId, lun, sizeBytes } of spec.disks) {
        const device = await openDevice(lunPath(lunsFolder, lun), { mode: 'read' });
        disks.push({ diskId, sizeBytes, device });
        marks.push(await readDiskMark(device));
      }
    } catch (error) {
      for (const { device } of disks) await device.close();
      throw error;
    }
    return new RestoreSource(spec, parts, disks, marks);
  }

  get isServing(): boolean {
    return this.#lanes.size > 0;
  }

  get totalBytes(): number {
    return this.spec.disks.reduce((sum, disk) => sum + disk.sizeBytes, 0);
  }

  offer(): RestoreOffer {
    const { scenarioId, restoreId, final } = this.spec;
    const disks = this.#disks.map(({ diskId, sizeBytes }, index) => {
      const mark = this.#marks[index];
      return { diskId, sizeBytes, ...(mark === undefined ? {} : { mark }) };
    });
    return { scenarioId, restoreId, final, disks };
  }

  /** One machine is restored at a time: a new attempt ends the lanes of the one before. */
  addLane(attempt: string, connection: Connection, credit: number): LaneFrames {
    if (attempt !== this.#attempt) {
      for (const lane of this.#lanes) lane.connection.close('another attempt of this restore began');
      this.#attempt = attempt;
      this.counters = noCounters();
    }
    const { checksum, onFailure } = this.#parts;
    const parts = { disks: this.#disks, checksum, credit, counters: this.counters, onFailure };
    const lane = new RestoreLane(connection, attempt, parts);
    this.#lanes.add(lane);
    // Only when nothing of it is read any more: whoever closes the disks waits for those that are here.
    void connection.closed.then(() => lane.settle()).then(() => this.#lanes.delete(lane));
    return lane.frames;
  }

  /** Read once, however often it is asked for. */
  prove(): Promise<ReadonlyMap<string, DiskProof>> {
    this.#proof ??= this.#readAll().catch((error: unknown) => {
      this.#proof = undefined;
      throw error;
    });
    this.#proof.catch(() => undefined); // Whoever waits for it gets the error; it may be that nobody does.
    return this.#proof;
  }

  /** What differs from these, by disk. */
  async differing(digests: readonly DiskDigest[]): Promise<string[]> {
    const proof = await this.prove();
    const isSame = ({ diskId }: RestoreDisk) =>
      digests.some((one) => one.diskId === diskId && one.digest === proof.get(diskId)?.digest);
    return this.#disks.filter((disk) => !isSame(disk)).map(({ diskId }) => diskId);
  }

  async leaves(diskId: string): Promise<Buffer> {
    const found = (await this.prove()).get(diskId);
    if (found) return found.leaves;
    throw new StandbyError({ code: 'DISK_UNKNOWN', what: `The restore has no disk ${diskId}.` });
  }

  async close(reason: string): Promise<void> {
    this.#over.abort();
    const lanes = [...this.#lanes];
    for (const lane of lanes) lane.connection.close(reason);
    await Promise.all(lanes.map((lane) => lane.settle()));
    await this.#proof?.catch(() => undefined); // It was given up.
    for (const { device } of this.#disks) await device.close();
  }

  async #readAll(): Promise<ReadonlyMap<string, DiskProof>> {
    const { signal } = this.#over;
    try {
      return await this.#parts.hashing(async () => {
        const proofs = new Map<string, DiskProof>();
        for (const { diskId, device, sizeBytes } of this.#disks)
          proofs.set(diskId, await proveDisk(device, { sizeBytes, signal }));
        return proofs;
      }, signal);
    } catch (error) {
      throw signal.aborted ? restoreUnknown() : error;
    }
  }
}

/** It was closed, or another one took its place: whoever is restored asks what there is now. */
export function restoreUnknown(): StandbyError {
  return new StandbyError({
    code: 'RESTORE_UNKNOWN',
    what: 'This restore is not open on the appliance (any more).',
    next: 'Open it on control: standby failback SCENARIO',
    retry: 'later',
  });
}

function noCounters(): RestoreCounters {
  return { doneBytes: 0, sentBytes: 0, wireBytes: 0 };
}

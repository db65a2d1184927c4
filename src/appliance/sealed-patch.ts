import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import type { BytePatch } from '../guest/hive-change.ts';
import { type SealedChanges, sealedChanges } from '../guest/sealed/sealed-changes.ts';
import type { InTurn } from '../in-turn.ts';
import type { Log } from '../log.ts';
import type { SealedPatch } from '../model/sealed-patch.ts';
import { PATCH_CHANGES_MAX } from '../wire/patch-messages.ts';
import type { ReceivingDisk } from './receiver.ts';
import { closeDisks, openReplicaDisks } from './replica-disks.ts';
import type { ReplicaRecord } from './replica-record.ts';
import { type PatchBody, readPatch, removePatch, takeBackPatch, writePatch } from './sealed-patch-record.ts';

/**
 * Gives a replica that stands still (sealed, or held for a drill) the few bytes that its snapshots need, and takes them back, so that replication goes on with the
 * untouched copy. Promises: what was there is durable in a record before the first byte is changed; `apply` answers when
 * all of the patch is durable, and the same again changes nothing; nobody else writes the disks while the record is
 * there: the seal is not taken off, a new epoch not begun and the disks not opened before it is gone.
 * Dies at any line: without a record nothing was changed; with one, whoever comes next puts everything back first.
 */
interface PatchWorld {
  readonly stateFolder: string;
  readonly lunsFolder: string;
  readonly log: Log;
}

interface PatchHost {
  readonly inTurn: InTurn;
  record(): ReplicaRecord;
  /** Sealed, or held for a drill. */
  isStill(): boolean;
  /** Of a replica that follows its master: its disks are open, or are opened. */
  openLive(): Promise<{ readonly disks: readonly ReceivingDisk[] }>;
}

const TEXT_CHARS_MAX = 2000;

export class ReplicaPatch {
  readonly #world: PatchWorld;
  readonly #host: PatchHost;

  constructor(world: PatchWorld, host: PatchHost) {
    this.#world = world;
    this.#host = host;
  }

  /** Throws NOT_SEALED. What cannot be read or proven is left as it is, and told. */
  apply(bootDiskId: string): Promise<SealedPatch> {
    return this.#host.inTurn(async () => {
      if (!this.#host.isStill()) throw notSealed();
      const before = await readPatch(this.#place);
      if (before?.whole) return before.told;
      return await this.#withDisks(async (disks) => {
        await takeBackPatch(this.#place, disks);
        return await this.#patch(disks, bootDiskId);
      });
    });
  }

  remove(): Promise<void> {
    return this.#host.inTurn(() => this.takeBack());
  }

  /** In turn. */
  async takeBack(): Promise<void> {
    if (!(await this.isThere())) return;
    await this.#withDisks((disks) => takeBackPatch(this.#place, disks));
  }

  /** In turn. Before an epoch begins in which everything is copied anew: disks that are gone do not stand in its way. */
  async takeBackIfPossible(): Promise<void> {
    await this.takeBack().catch((error: unknown) => {
      if (!isStandbyError(error)) throw error;
      const { scenarioId } = this.#place.spec;
      this.#world.log.warn('a patched replica is left as it is', { scenarioId, error: messageOf(error) });
    });
  }

  /** Also when its record cannot be understood: the disks are then not to be opened. */
  async isThere(): Promise<boolean> {
    try {
      return (await readPatch(this.#place)) !== undefined;
    } catch (error) {
      if (!isStandbyError(error)) throw error;
      this.#world.log.error('the record of a patch cannot be read', { error: messageOf(error) });
      return true;
    }
  }

  /** In turn. Of an epoch that is over nothing counts any more. */
  forget(): Promise<void> {
    return removePatch(this.#place);
  }

  get #place() {
    const { stateFolder, log } = this.#world;
    return { stateFolder, log, spec: this.#host.record().spec };
  }

  /** Opening takes back a patch that was there. */
  async #withDisks<T>(work: (disks: readonly ReceivingDisk[]) => Promise<T>): Promise<T> {
    const { live, spec } = this.#host.record();
    if (live) return await work((await this.#host.openLive()).disks);
    const { stateFolder, lunsFolder, log } = this.#world;
    const disks = await openReplicaDisks(spec, stateFolder, lunsFolder, log);
    try {
      return await work(disks);
    } finally {
      await closeDisks(disks);
    }
  }

  async #patch(disks: readonly ReceivingDisk[], bootDiskId: string): Promise<SealedPatch> {
    const found: { readonly disk: ReceivingDisk; readonly wanted: SealedChanges }[] = [];
    for (const disk of disks) found.push({ disk, wanted: await lookAt(disk, disk.diskId === bootDiskId) });
    const told = toldOf(found);
    const edits: PatchBody['edits'] = [];
    for (const { disk, wanted } of found) edits.push(...(await oldBytes(disk, wanted.patches)));
    if (edits.length === 0) return told;
    const record = { epoch: this.#place.spec.epoch, whole: false, told, edits };
    await writePatch(this.#place, record);
    try {
      for (const { disk, wanted } of found) {
        for (const { atBytes, bytes } of wanted.patches) await disk.device.write(bytes, atBytes);
        await disk.device.sync();
      }
      await writePatch(this.#place, { ...record, whole: true });
    } catch (error) {
      await takeBackPatch(this.#place, disks);
      throw error;
    }
    this.#world.log.info('the sealed replica is patched', { changes: told.changes.length });
    return told;
  }
}

async function lookAt({ device }: ReceivingDisk, boot: boolean): Promise<SealedChanges> {
  try {
    return await sealedChanges(device, { boot });
  } catch (error) {
    if (!isStandbyError(error)) throw error;
    return { patches: [], changes: [], left: [{ code: 'DISK_UNREAD', text: messageOf(error) }] };
  }
}

async function oldBytes(
  { diskId, device }: ReceivingDisk,
  patches: readonly BytePatch[],
): Promise<PatchBody['edits']> {
  const edits: PatchBody['edits'] = [];
  for (const { atBytes, bytes } of patches) {
    const before = Buffer.alloc(bytes.length);
    await device.read(before, atBytes);
    edits.push({ diskId, atBytes, before: before.toString('base64') });
  }
  return edits;
}

function toldOf(
  found: readonly { readonly disk: ReceivingDisk; readonly wanted: SealedChanges }[],
): PatchBody['told'] {
  const list = (of: (wanted: SealedChanges) => SealedChanges['changes']) =>
    found
      .flatMap(({ disk, wanted }) =>
        of(wanted).map(({ code, text }) => ({
          diskId: disk.diskId,
          code,
          text: text.slice(0, TEXT_CHARS_MAX),
        })),
      )
      .slice(0, PATCH_CHANGES_MAX);
  const readiness = found.find(({ wanted }) => wanted.readiness)?.wanted.readiness;
  return {
    changes: list(({ changes }) => changes),
    left: list(({ left }) => left),
    ...(readiness ? { verdict: readiness.verdict } : {}),
    faults: (readiness?.verdicts ?? []).flatMap(({ status, code }) => (status === 'error' ? [code] : [])),
  };
}

function notSealed(): StandbyError {
  return new StandbyError({
    code: 'NOT_SEALED',
    what: 'The replica is not sealed: it follows its master, and nothing of it is changed.',
    next: 'Seal it first: a switchover does.',
  });
}

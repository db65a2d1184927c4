import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import { z } from 'zod';
import { readStateJson, writeStateFile } from '../block/state-file.ts';
import type { Clock } from '../clock.ts';
import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import { makeInTurn } from '../in-turn.ts';
import type { Log } from '../log.ts';
import type { DiskDigest } from '../model/scenario.ts';
import type { Connection, LaneFrames } from '../wire/connection.ts';
import { digestSchema } from '../wire/fields.ts';
import type { Params, Result } from '../wire/messages.ts';
import {
  type FinishedRestore,
  type RestoreOffer,
  type RestoreSpec,
  restoreSpecSchema,
} from '../wire/restore-messages.ts';
import { assertLun } from './luns.ts';
import type { Replicas } from './replicas.ts';
import { RestoreSource, restoreUnknown, type SourceParts } from './restore-source.ts';

/**
 * The restores that control has opened, one for a scenario at most. Promises: only a sealed replica, or disks that belong
 * to no replica, are read for one; what is being read is written by nobody; `proven` is on disk before anybody hears it.
 * Dies at any line: the records say what is open, and the machine that is restored dials again and goes on.
 */
const recordSchema = restoreSpecSchema.extend({
  masterId: z.string(),
  proven: z.object({ atMs: z.number(), digests: z.array(digestSchema), sentBytes: z.number() }).optional(),
  /** Control has closed it. Only a final one that was proven is remembered so, until the scenario is copied anew. */
  over: z.boolean().optional(),
});
type RestoreRecord = z.infer<typeof recordSchema>;

export interface RestoresWorld extends Omit<SourceParts, 'onFailure'> {
  readonly stateFolder: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly replicas: Pick<Replicas, 'get' | 'disks'>;
}

export class Restores {
  readonly #world: RestoresWorld;
  readonly #path: string;
  readonly #inTurn = makeInTurn();
  readonly #events = new EventEmitter().setMaxListeners(0);
  readonly #sources = new Map<string, RestoreSource>();
  readonly #problems = new Map<string, string>();
  #records: RestoreRecord[] = [];
  /** Bytes that travelled for a restore before its current attempt. */
  readonly #sentBefore = new Map<string, number>();

  private constructor(world: RestoresWorld) {
    this.#world = world;
    this.#path = join(world.stateFolder, 'restores.json');
  }

  static async load(world: RestoresWorld): Promise<Restores> {
    const restores = new Restores(world);
    restores.#records = (await readStateJson(restores.#path, z.array(recordSchema))) ?? [];
    return restores;
  }

  // --- what control asks

  /** The same again changes nothing; another one takes the place of the one before. */
  open(spec: RestoreSpec): Promise<void> {
    return this.#inTurn(async () => {
      const before = this.#open(spec.scenarioId);
      if (before && JSON.stringify(restoreSpecSchema.parse(before)) === JSON.stringify(spec)) return;
      await this.#assertReadable(spec);
      await this.#endSource(spec.scenarioId, 'a newer restore takes its place');
      const { masterId } = this.#world.replicas.get(spec.scenarioId).spec;
      await this.#save([...this.#others(spec.scenarioId), { ...spec, masterId }]);
      this.#problems.delete(spec.scenarioId);
    });
  }

  state(scenarioId: string): Result<'restoreState'> {
    const record = this.#open(scenarioId);
    if (!record) return {};
    const { restoreId, final, proven, disks } = record;
    const source = this.#sources.get(scenarioId);
    const totalBytes = disks.reduce((sum, disk) => sum + disk.sizeBytes, 0);
    const counters = source?.counters ?? { doneBytes: 0, sentBytes: 0, wireBytes: 0 };
    const problem = this.#problems.get(scenarioId);
    return {
      restore: {
        scenarioId,
        restoreId,
        final,
        connected: source?.isServing ?? false,
        ...counters,
        doneBytes: Math.min(counters.doneBytes, totalBytes),
        totalBytes,
        ...(proven ? { proven } : {}),
        ...(problem === undefined ? {} : { problem }),
      },
    };
  }

  closeRestore(scenarioId: string): Promise<void> {
    return this.#inTurn(async () => {
      const record = this.#open(scenarioId);
      if (!record) return;
      const kept = record.final && record.proven ? [{ ...record, over: true }] : [];
      await this.#save([...this.#others(scenarioId), ...kept]);
      await this.#endSource(scenarioId, 'control closed the restore');
      this.#problems.delete(scenarioId);
    });
  }

  /** The scenario is copied anew: whatever a machine has of it is old. */
  forgetFinished(scenarioId: string): Promise<void> {
    return this.#inTurn(async () => {
      const kept = this.#records.filter((one) => one.scenarioId !== scenarioId || !one.over);
      if (kept.length < this.#records.length) await this.#save(kept);
    });
  }

  /** Nothing may write, or take the LUN of, a disk that is read for a restore. */
  assertNotRead(scenarioId: string, luns: readonly number[]): void {
    const reader = this.#records.find((one) => !one.over && one.disks.some(({ lun }) => luns.includes(lun)));
    if (!reader) return;
    throw new StandbyError({
      code: 'RESTORE_OPEN',
      what: `The disks that scenario ${scenarioId} wants are being read for the restore of ${reader.scenarioId}.`,
      next: 'Let its failback end, or take it back: standby failback SCENARIO --undo',
    });
  }

  // --- what the machine that is restored does

  /** Of this master; waits until there is another one than `notAgain`. */
  async offers(
    masterId: string,
    { waitMs, notAgain }: Params<'restoreOffers'>,
    signal: AbortSignal,
  ): Promise<RestoreOffer[]> {
    const find = () =>
      this.#records.filter((one) => !one.over && one.masterId === masterId && one.restoreId !== notAgain);
    if (find().length === 0 && waitMs > 0) await this.#changed(waitMs, signal);
    const offers: RestoreOffer[] = [];
    for (const { scenarioId, restoreId } of find()) {
      offers.push((await this.source(masterId, { scenarioId, restoreId })).offer());
    }
    return offers;
  }

  finished(masterId: string): FinishedRestore[] {
    return this.#records.flatMap(({ masterId: of, scenarioId, restoreId, proven, over }) =>
      over && proven && of === masterId ? [{ scenarioId, restoreId, digests: proven.digests }] : [],
    );
  }

  /** Its disks, open. Throws RESTORE_UNKNOWN, also for another master's. */
  source(
    masterId: string,
    { scenarioId, restoreId }: { scenarioId: string; restoreId: string },
  ): Promise<RestoreSource> {
    return this.#inTurn(async () => {
      const record = this.#open(scenarioId);
      if (record?.masterId !== masterId || record.restoreId !== restoreId) throw restoreUnknown();
      const opened = this.#sources.get(scenarioId);
      if (opened) return opened;
      const onFailure = (error: unknown) => this.#fail(scenarioId, error);
      const source = await RestoreSource.open(restoreSpecSchema.parse(record), { ...this.#world, onFailure });
      this.#sources.set(scenarioId, source);
      return source;
    });
  }

  async proven(scenarioId: string, restoreId: string, digests: readonly DiskDigest[]): Promise<void> {
    await this.#inTurn(async () => {
      const record = this.#open(scenarioId);
      if (record?.restoreId !== restoreId) throw restoreUnknown();
      if (record.proven) return;
      const sentBytes =
        (this.#sentBefore.get(restoreId) ?? 0) + (this.#sources.get(scenarioId)?.counters.sentBytes ?? 0);
      const proven = { atMs: this.#world.clock.now(), digests: [...digests], sentBytes };
      await this.#save([...this.#others(scenarioId), { ...record, proven }]);
      this.#problems.delete(scenarioId);
    });
  }

  /** A new attempt counts anew; what the ones before sent has travelled all the same. */
  addLane(source: RestoreSource, attempt: string, connection: Connection, credit: number): LaneFrames {
    const { counters, spec } = source;
    const frames = source.addLane(attempt, connection, credit);
    if (source.counters !== counters)
      this.#sentBefore.set(spec.restoreId, (this.#sentBefore.get(spec.restoreId) ?? 0) + counters.sentBytes);
    return frames;
  }

  problem(scenarioId: string, what: string): void {
    this.#problems.set(scenarioId, what);
    this.#world.log.warn('the restored machine has a problem', { scenarioId, what });
  }

  async close(reason: string): Promise<void> {
    await this.#inTurn(async () => {
      for (const scenarioId of [...this.#sources.keys()]) await this.#endSource(scenarioId, reason);
    });
  }

  // --- inside

  #open(scenarioId: string): RestoreRecord | undefined {
    return this.#records.find((one) => one.scenarioId === scenarioId && !one.over);
  }

  #others(scenarioId: string): RestoreRecord[] {
    return this.#records.filter((one) => one.scenarioId !== scenarioId);
  }

  async #save(records: RestoreRecord[]): Promise<void> {
    await writeStateFile(this.#path, JSON.stringify(records));
    this.#records = records;
    this.#events.emit('changed');
  }

  async #changed(waitMs: number, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const wake = () => over.abort();
    this.#events.once('changed', wake);
    const stop = AbortSignal.any([over.signal, signal]);
    await this.#world.clock.sleep(waitMs, stop).catch(() => undefined); // News, or nobody waits any more.
    this.#events.off('changed', wake);
  }

  async #endSource(scenarioId: string, reason: string): Promise<void> {
    const source = this.#sources.get(scenarioId);
    this.#sources.delete(scenarioId);
    await source?.close(reason);
  }

  async #assertReadable(spec: RestoreSpec): Promise<void> {
    const disks = await this.#world.replicas.disks();
    const replica = this.#world.replicas.get(spec.scenarioId);
    for (const { lun, sizeBytes } of spec.disks) {
      await assertLun(this.#world.lunsFolder, lun, sizeBytes);
      const owner = disks.find((one) => one.lun === lun)?.scenarioId;
      if (owner === undefined) continue;
      if (owner !== spec.scenarioId || replica.progress().state !== 'sealed') throw notReadable(lun, owner);
    }
  }

  #fail(scenarioId: string, error: unknown): void {
    const what = isStandbyError(error) ? error.message : messageOf(error);
    this.#world.log.error('the restore failed', { scenarioId, error: what });
    this.#problems.set(scenarioId, `The appliance cannot read its disks: ${what}`.slice(0, 2000));
    // Opened anew at the next try.
    void this.#inTurn(() => this.#endSource(scenarioId, `the appliance cannot read its disks: ${what}`));
  }
}

function notReadable(lun: number, owner: string): StandbyError {
  return new StandbyError({
    code: 'REPLICA_NOT_SEALED',
    what: `The data disk at LUN ${lun} cannot be restored from.`,
    why: `It holds the replica of scenario ${owner}, which is not sealed for this restore.`,
    next: 'Seal it first; `standby failback` does.',
  });
}

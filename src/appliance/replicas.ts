import { StandbyError } from '../errors.ts';
import { makeInTurn } from '../in-turn.ts';
import type { Readiness } from '../model/readiness.ts';
import type { Connection } from '../wire/connection.ts';
import type { ApplianceDisk, CopyProgress } from '../wire/control-session.ts';
import { assertLun, listLuns } from './luns.ts';
import { Replica, type ReplicaWorld } from './replica.ts';
import { readinessOfReplica } from './replica-readiness.ts';
import { type ReplicaSpecOnWire, readRecords, removeRecord } from './replica-record.ts';
import { readSeedMark } from './seed-mark.ts';

/** All replicas of this appliance. A LUN belongs to one scenario at a time. */
export class Replicas {
  readonly #world: ReplicaWorld;
  readonly #byScenario = new Map<string, Replica>();
  readonly #inTurn = makeInTurn();

  private constructor(world: ReplicaWorld) {
    this.#world = world;
  }

  static async load(world: ReplicaWorld): Promise<Replicas> {
    const replicas = new Replicas(world);
    for (const record of await readRecords(world.stateFolder)) {
      replicas.#byScenario.set(record.spec.scenarioId, await Replica.load(world, record));
    }
    return replicas;
  }

  /** Throws REPLICA_UNKNOWN. */
  get(scenarioId: string): Replica {
    const replica = this.#byScenario.get(scenarioId);
    if (replica) return replica;
    throw new StandbyError({
      code: 'REPLICA_UNKNOWN',
      what: `The appliance has no replica of scenario ${scenarioId}.`,
      next: 'Run the scenario: it declares its replica disks first.',
    });
  }

  ofMaster(masterId: string): Replica[] {
    return [...this.#byScenario.values()].filter((replica) => replica.spec.masterId === masterId);
  }

  /** The seed that was written onto a replica's disks, once it was whole. */
  async seedOf(scenarioId: string): Promise<CopyProgress['seed']> {
    const mark = await readSeedMark(this.#world.stateFolder, scenarioId);
    if (mark?.state !== 'imported') return undefined;
    const { seedId, atMs, dataBytes } = mark;
    return { seedId, atMs, dataBytes };
  }

  /** Throws REPLICA_UNKNOWN, DISK_UNKNOWN, REPLICA_NOT_WHOLE, REPLICA_MOVES, and what a damaged disk leads to. */
  readiness(scenarioId: string, diskId: string, signal: AbortSignal): Promise<Readiness> {
    const { lunsFolder, clock } = this.#world;
    return readinessOfReplica(this.get(scenarioId), { diskId, lunsFolder, clock, signal });
  }

  async disks(): Promise<ApplianceDisk[]> {
    const luns = await listLuns(this.#world.lunsFolder);
    return luns.map((lun) => ({ ...lun, ...this.#ownerOf(lun.lun) }));
  }

  /** One at a time, so that two scenarios cannot take the same LUN at once. */
  open(spec: ReplicaSpecOnWire): Promise<void> {
    return this.#inTurn(() => this.#open(spec));
  }

  /** In turn with opening: its LUNs are free, and its name too, only when nothing of it is written any more. */
  remove(scenarioId: string): Promise<void> {
    return this.#inTurn(async () => {
      const replica = this.#byScenario.get(scenarioId);
      if (!replica) return;
      await replica.forget();
      await removeRecord(this.#world.stateFolder, scenarioId);
      this.#byScenario.delete(scenarioId);
    });
  }

  async masterArrived(masterId: string, session: Connection): Promise<void> {
    await Promise.all(this.ofMaster(masterId).map((replica) => replica.masterArrived(session)));
  }

  masterLeft(masterId: string): void {
    for (const replica of this.ofMaster(masterId)) replica.masterLeft();
  }

  async close(reason: string): Promise<void> {
    await Promise.all([...this.#byScenario.values()].map((replica) => replica.close(reason)));
  }

  async #open(spec: ReplicaSpecOnWire): Promise<void> {
    const luns = new Set(spec.disks.map((disk) => disk.lun));
    const ids = new Set(spec.disks.map((disk) => disk.diskId));
    if (luns.size !== spec.disks.length || ids.size !== spec.disks.length) {
      throw new StandbyError({
        code: 'REPLICA_INVALID',
        what: 'Two disks share a LUN or a name.',
        kind: 'input',
      });
    }
    for (const disk of spec.disks) {
      const owner = this.#ownerOf(disk.lun);
      if (disk.lun === 0 || (owner && owner.scenarioId !== spec.scenarioId)) {
        throw new StandbyError({
          code: 'LUN_TAKEN',
          what: `LUN ${disk.lun} of the appliance cannot hold this replica.`,
          why: owner ? `It belongs to scenario ${owner.scenarioId}.` : "It is the appliance's journal disk.",
          next: 'Attach the replica disk at a free LUN.',
        });
      }
      await assertLun(this.#world.lunsFolder, disk.lun, disk.sizeBytes);
    }
    const replica = this.#byScenario.get(spec.scenarioId);
    if (replica) await replica.open(spec);
    else this.#byScenario.set(spec.scenarioId, await Replica.make(this.#world, spec));
  }

  #ownerOf(lun: number): { scenarioId: string; diskId: string } | undefined {
    for (const { spec } of this.#byScenario.values()) {
      const disk = spec.disks.find((one) => one.lun === lun);
      if (disk) return { scenarioId: spec.scenarioId, diskId: disk.diskId };
    }
    return undefined;
  }
}

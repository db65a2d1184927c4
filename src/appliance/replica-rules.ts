import { StandbyError } from '../errors.ts';
import type { CopyProgress } from '../wire/control-session.ts';
import type { ReplicaRecord, ReplicaSpecOnWire } from './replica-record.ts';

/** What may be done with a replica, and in which words it is refused. */
function stateOf(record: ReplicaRecord, masterHere: boolean): CopyProgress['state'] {
  if (record.sealed) return 'sealed';
  const needsMaster = ['copying', 'proving', 'draining', 'replicating'].includes(record.phase);
  return needsMaster && !masterHere ? 'master-away' : record.phase;
}

/** What the record does not know. */
interface Moving {
  readonly masterHere: boolean;
  readonly doneBytes: number;
  bytesPerSecond(): number;
  readonly replication: CopyProgress['replication'] | undefined;
  readonly problem: CopyProgress['error'] | undefined;
}

export function progressOfReplica(record: ReplicaRecord, now: Moving): CopyProgress {
  const { spec, phase, sentBytes, wireBytes, resentBlocks, leftOutBytes, live } = record;
  const { startedAtMs, endedAtMs, digests } = record;
  const totalBytes = spec.disks.reduce((sum, disk) => sum + disk.sizeBytes, 0);
  const state = stateOf(record, now.masterHere);
  const { replication } = now;
  const error = record.error ?? now.problem;
  return {
    scenarioId: spec.scenarioId,
    epoch: spec.epoch,
    state,
    doneBytes: phase === 'synchronised' || live?.whole ? totalBytes : now.doneBytes,
    totalBytes,
    sentBytes,
    wireBytes,
    resentBlocks,
    ...(leftOutBytes === undefined ? {} : { leftOutBytes }),
    ...(state === 'copying' ? { bytesPerSecond: now.bytesPerSecond() } : {}),
    ...(startedAtMs === undefined ? {} : { startedAtMs }),
    ...(endedAtMs === undefined ? {} : { endedAtMs }),
    ...(digests ? { digests } : {}),
    ...(error ? { error } : {}),
    ...(replication ? { replication } : {}),
  };
}

export function notSynchronised(record: ReplicaRecord): StandbyError {
  const why = record.error ? ` ${record.error.what}` : '';
  return new StandbyError({
    code: 'NOT_SYNCHRONISED',
    what: 'The replica cannot be sealed: it is not a whole copy.',
    why: `Its copy is ${record.phase}.${why}`,
    next: 'Run the scenario until it is synchronised.',
  });
}

/** Within an epoch the last consistent position is kept: only a new epoch may overwrite it. */
export function resyncNeeded(record: ReplicaRecord): StandbyError {
  return new StandbyError({
    code: 'RESYNC_NEEDED',
    what: 'The replica cannot go on by itself.',
    ...(record.error ? { why: `${record.error.what} ${record.error.why ?? ''}`.trim() } : {}),
    next: 'Resynchronise the scenario: a new epoch begins. Until then the replica stays at its last consistent position, and can be switched over to.',
  });
}

export function assertNotSealed(record: ReplicaRecord): void {
  if (!record.sealed) return;
  throw new StandbyError({
    code: 'REPLICA_SEALED',
    what: 'The replica is sealed: it belongs to a switchover and is not written.',
    next: 'Take the switchover back (`standby switchover --undo`), or run the scenario with a new epoch.',
  });
}

/** Within an epoch the same disks are copied; only their LUN may change, and blank may become not blank. */
export function assertSameSpec(before: ReplicaSpecOnWire, now: ReplicaSpecOnWire): void {
  const essence = (spec: ReplicaSpecOnWire) =>
    JSON.stringify([
      spec.masterId,
      spec.disks.map((disk) => [
        disk.diskId,
        disk.sizeBytes,
        disk.excluded.map((range) => [range.offsetBytes, range.sizeBytes]),
      ]),
    ]);
  if (now.epoch === before.epoch && essence(now) === essence(before)) return;
  throw new StandbyError({
    code: 'EPOCH_STALE',
    what: `The replica is in epoch ${before.epoch} and cannot be declared as this in epoch ${now.epoch}.`,
    why:
      now.epoch < before.epoch ? 'The epoch is older.' : 'Its disks, sizes or excluded volumes are others.',
    next: 'Start a new synchronisation: it takes a higher epoch.',
  });
}

export function masterAway(masterId: string): StandbyError {
  return new StandbyError({
    code: 'MASTER_AWAY',
    what: `The master ${masterId} is not connected to the appliance.`,
    next: 'Start `standby engine master` on it, and check that it reaches the appliance on TCP 25000.',
    retry: 'later',
  });
}

/** `runAfterReboot` is off: somebody runs the scenario again at a time of their choice. */
export const MASTER_REBOOTED = {
  code: 'MASTER_REBOOTED',
  what: 'The master was rebooted, and the scenario is not to go on by itself after that.',
  next: 'Run the scenario again at a quiet time: what changed meanwhile follows.',
} as const;

export function replicaClosed(scenarioId: string): StandbyError {
  return new StandbyError({
    code: 'REPLICA_UNKNOWN',
    what: `The replica of scenario ${scenarioId} is being closed.`,
    next: 'Run the scenario: it declares its replica disks first.',
  });
}

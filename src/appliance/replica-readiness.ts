import { openDevice } from '../block/open-device.ts';
import type { Clock } from '../clock.ts';
import { StandbyError } from '../errors.ts';
import { patchedReadiness } from '../guest/sealed/patched-readiness.ts';
import type { Readiness } from '../model/readiness.ts';
import type { CopyProgress } from '../wire/control-session.ts';
import { PATCH_CHANGES_MAX } from '../wire/patch-messages.ts';
import { lunPath } from './luns.ts';
import type { Replica } from './replica.ts';

/**
 * Looks into a replica's disk for what would stop its start. Promises: it only reads, and its answer is about one
 * consistent position: before and after the look nothing was still to be applied and the position was the same;
 * otherwise it looks again. Holds nothing up: replication goes on meanwhile. Dies at any line: nothing was changed.
 */
interface Look {
  readonly diskId: string;
  readonly lunsFolder: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const LOOKS_MAX = 6;
const PAUSE_MS = 500;

export async function readinessOfReplica(replica: Replica, look: Look): Promise<Readiness> {
  const { diskId, lunsFolder, clock, signal } = look;
  const disk = replica.spec.disks.find((one) => one.diskId === diskId);
  if (!disk) throw failed('DISK_UNKNOWN', `The replica has no disk ${diskId}.`);
  if (await replica.patch.isThere()) {
    throw failed(
      'REPLICA_PATCHED',
      'It is patched for the snapshots of a switchover.',
      'Try again after them.',
    );
  }
  const device = await openDevice(lunPath(lunsFolder, disk.lun), { mode: 'read' });
  try {
    for (let looks = 0; looks < LOOKS_MAX; looks++) {
      if (looks > 0) await clock.sleep(PAUSE_MS, signal);
      const before = positionOf(replica.progress());
      if (before === undefined) continue;
      const found = await settled(patchedReadiness(device, { signal }));
      if (positionOf(replica.progress()) !== before) continue;
      if (found.status === 'rejected') throw found.reason;
      return within(found.value);
    }
  } finally {
    await device.close();
  }
  throw failed(
    'REPLICA_MOVES',
    'The replica could not be looked at while nothing was applied to it.',
    'Try again in a quieter moment.',
  );
}

/** A disk that moves under the reader may look damaged: what failed counts only when nothing moved. */
async function settled<T>(work: Promise<T>): Promise<PromiseSettledResult<T>> {
  const [outcome] = await Promise.allSettled([work]);
  return outcome;
}

/** Names of files and the like are as long as a message bears. */
const TEXT_CHARS_MAX = 2000;

function within(found: Readiness): Readiness {
  const short = (text: string) => text.slice(0, TEXT_CHARS_MAX);
  const verdicts = found.verdicts.map(({ code, status, title, found: was, expected, next }) => ({
    code,
    status,
    title,
    found: short(was),
    ...(expected === undefined ? {} : { expected }),
    ...(next === undefined ? {} : { next: short(next) }),
  }));
  const { sealed } = found;
  const changes = sealed?.changes.slice(0, PATCH_CHANGES_MAX).map(short);
  return {
    ...found,
    ...(sealed && changes ? { sealed: { verdict: sealed.verdict, changes } } : {}),
    os: { ...found.os, name: short(found.os.name) },
    verdicts,
  };
}

/** The consistent position of the disks; undefined while they move. */
function positionOf({ state, epoch, replication }: CopyProgress): string | undefined {
  if (state === 'synchronised' || state === 'sealed') return `${state} ${epoch}`;
  if (!replication || (state !== 'replicating' && state !== 'master-away')) {
    throw failed('REPLICA_NOT_WHOLE', `The replica is ${state}.`, 'Wait until it is synchronised.');
  }
  return replication.journal.unappliedChanges === 0 ? `${epoch} ${replication.appliedSequence}` : undefined;
}

function failed(code: string, why: string, next?: string): StandbyError {
  return new StandbyError({
    code,
    what: 'The replica’s readiness cannot be judged now.',
    why,
    ...(next ? { next } : {}),
    retry: code === 'DISK_UNKNOWN' ? 'never' : 'later',
  });
}

/**
 * The gate to `replicating` (M-12, G-70): both ends were proven equal at one position, for every disk, in the epoch of
 * this run, with everything that changed during the synchronisation. Only then does the status say so, and the event
 * that the scenario is protected follows. Doing it again says the same.
 */
import { isoTime } from '../../clock.ts';
import { StandbyError } from '../../errors.ts';
import { GIB } from '../../model/disk.ts';
import type { Step } from '../../plan/plan.ts';
import type { Work } from '../../switchover/work.ts';
import { type Agreed, assertWhole } from './agree-on-digests.ts';
import { COPY_DISKS, type Copied } from './copy-disks.ts';
import { OPEN_REPLICA, type OpenedReplica } from './open-replica.ts';

export interface Replicating extends Agreed {
  readonly position: NonNullable<Copied['position']>;
}

export function confirmReplicatingStep(work: Work): Step<Replicating> {
  return {
    id: 'confirm-replicating',
    title: 'Confirm that changes follow',
    async run(context) {
      const copied = context.output<Copied>(COPY_DISKS);
      const { epoch } = context.output<OpenedReplica>(OPEN_REPLICA);
      assertWhole(work, copied, epoch);
      const { digests, position, totalBytes } = copied;
      if (!position) throw noPosition(work);
      // A replica that went on with its stream was proven when its copy ended.
      const synchronisedAtMs = (await work.status()).synchronisedAtMs ?? copied.endedAtMs;
      await work.setStatus({
        state: 'replicating',
        epoch,
        synchronisedAtMs,
        digests,
        seen: seenAt(work.clock.now(), position),
        maintenanceSinceMs: undefined,
        activeRunId: undefined,
      });
      const at = position.atMs === undefined ? '' : ` (${isoTime(position.atMs)} by the master's clock)`;
      await work.event({
        level: 'info',
        code: 'SYNC_CHANGES_REPLICATED',
        text: `Changes during the synchronisation of "${work.scenario.name}" are all replicated: it is protected from here on, at position ${position.sequence}${at}. Epoch ${epoch}, ${digests.length} disks, ${(totalBytes / GIB).toFixed(1)} GiB.`,
        data: { epoch, synchronisedAtMs, position, digests },
      });
      return { epoch, digests, synchronisedAtMs, position };
    },
  };
}

function seenAt(atMs: number, { sequence, atMs: masterMs }: Replicating['position']) {
  const times = masterMs === undefined ? {} : { receivedAtMs: masterMs, appliedAtMs: masterMs };
  return { atMs, receivedSequence: sequence, appliedSequence: sequence, ...times };
}

function noPosition(work: Work): StandbyError {
  return new StandbyError({
    code: 'POSITION_UNKNOWN',
    what: `The appliance says that "${work.scenario.name}" replicates, but not at which position.`,
    why: 'Its engine may be of another version.',
    next: 'Install the same version of Standby on control, master and appliance; then: standby resume '.concat(
      work.runId,
    ),
  });
}

/**
 * The one gate to a finished copy (M-12): every disk has its digest, of its whole size, in the epoch of this run. Only
 * then does the status say `synchronised`. Doing it again says the same.
 */
import { isoTime } from '../../clock.ts';
import { StandbyError } from '../../errors.ts';
import { GIB } from '../../model/disk.ts';
import type { Step } from '../../plan/plan.ts';
import type { Work } from '../../switchover/work.ts';
import { COPY_DISKS, type Copied } from './copy-disks.ts';
import { OPEN_REPLICA, type OpenedReplica } from './open-replica.ts';

export const AGREE_ON_DIGESTS = 'agree-on-digests';

export interface Agreed extends Pick<Copied, 'epoch' | 'digests'> {
  readonly synchronisedAtMs: number;
}

export function agreeOnDigestsStep(work: Work): Step<Agreed> {
  return {
    id: AGREE_ON_DIGESTS,
    title: 'Agree on the digest of every disk',
    async run(context) {
      const copied = context.output<Copied>(COPY_DISKS);
      const { epoch } = context.output<OpenedReplica>(OPEN_REPLICA);
      assertWhole(work, copied, epoch);
      const { digests, endedAtMs: synchronisedAtMs } = copied;
      await work.setStatus({
        state: 'synchronised',
        epoch,
        synchronisedAtMs,
        digests,
        activeRunId: undefined,
      });
      const size = (copied.totalBytes / GIB).toFixed(1);
      await work.event({
        level: 'info',
        code: 'SYNCHRONISED',
        text: `The replica of "${work.scenario.name}" equals its master: synchronised at ${isoTime(synchronisedAtMs)}, not replicating (at rest). Epoch ${epoch}, ${digests.length} disks, ${size} GiB.`,
        data: { epoch, synchronisedAtMs, digests },
      });
      return { epoch, digests, synchronisedAtMs };
    },
  };
}

export function assertWhole(work: Work, copied: Copied, epoch: number): void {
  const faulty = work.inventory.disks.find((disk) => {
    const digest = copied.digests.find((one) => one.diskId === disk.id);
    return !digest || digest.sizeBytes !== disk.sizeBytes || !/^[0-9a-f]{64}$/.test(digest.digest);
  });
  if (!faulty && copied.epoch === epoch) return;
  throw new StandbyError({
    code: 'DIGESTS_INCOMPLETE',
    what: `The copy of "${work.scenario.name}" cannot be called whole.`,
    why: faulty
      ? `There is no digest of all of ${faulty.id}.`
      : `It is of epoch ${copied.epoch}, not ${epoch}.`,
    next: `Stop the scenario (standby stop ${work.scenario.name}) and run it again.`,
  });
}

/**
 * Promises that nothing changes the replica while the master is restored from it: the appliance brings it to its last
 * consistent position and refuses writes. Sealing twice gives the same answer; dying at any line is repaired by sealing
 * again. Undo takes the seal back, unless the replica was sealed before (a standby was made of it once).
 */
import type { Step } from '../../plan/plan.ts';
import type { SealedReplica } from '../../wire/control-session.ts';
import { withSession } from '../appliance-session.ts';
import type { Work } from '../work.ts';

interface Before {
  readonly wasSealed: boolean;
}

export function sealForRestoreStep(work: Work): Step<SealedReplica & Before> {
  const { id } = work.scenario;
  return {
    id: 'seal-for-restore',
    title: 'Seal the replica',
    async run(context) {
      return await withSession(work, async (session) => {
        const remembered = context.checkpoint as Before | undefined;
        const before = remembered ?? { wasSealed: (await session.progress(id)).state === 'sealed' };
        if (!remembered) await context.save(before);
        return { ...(await session.seal(id)), ...before };
      });
    },
    async undo(context, out) {
      // Without either it was never sealed by us.
      const before = out ?? (context.checkpoint as Before | undefined);
      if (before?.wasSealed === false) await withSession(work, (session) => session.unseal(id));
    },
  };
}

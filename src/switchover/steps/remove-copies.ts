/**
 * Promises that no copy of the standby's disks, made for a failback, is left: not on the appliance, not in Azure. The
 * restore that reads them is closed first. Only what carries this scenario's tag and a failback's role goes. Everything is
 * looked for again at each try, so dying at any line is repaired by doing it again.
 */
import type { Step } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import { withSession } from '../appliance-session.ts';
import { type DiskPart, idInGroup, RESOURCE_TYPES, scenarioTag } from '../blueprint.ts';
import { CLOUD_RETRY } from '../durably.ts';
import type { Work } from '../work.ts';
import { applianceMachine, detachFrom } from './attach-copy-disks.ts';

export function removeCopiesStep(
  work: Work,
  options: {
    readonly id: string;
    readonly title: string;
    /** Of this run: Azure's list by tag lags behind what it made. */
    readonly own: readonly DiskPart[];
  },
): Step<{ readonly ids: readonly string[] }> {
  const { cloud } = work;
  return {
    id: options.id,
    title: options.title,
    actions: actionsOf(
      'listTagged',
      'machines.get',
      'machines.detachDisks',
      'disks.delete',
      'disks.deleteSnapshot',
    ),
    retry: CLOUD_RETRY,
    async run({ signal }) {
      await withSession(work, (session) => session.closeRestore(work.scenario.id));
      const { disks, snapshots } = await whatThereIs(work, options.own);
      await detachFrom(work, await applianceMachine(work), disks, signal);
      for (const id of disks) await cloud.disks.delete(id, scenarioTag(work), { signal });
      for (const id of snapshots) await cloud.disks.deleteSnapshot(id, scenarioTag(work), { signal });
      return { ids: [...disks, ...snapshots] };
    },
  };
}

async function whatThereIs(
  work: Work,
  own: readonly DiskPart[],
): Promise<{ readonly disks: readonly string[]; readonly snapshots: readonly string[] }> {
  const tagged = await work.cloud.listTagged('standby-scenario', scenarioTag(work));
  const ofRole = (role: string) =>
    tagged.filter((one) => one.tags['standby-role'] === role).map((one) => one.id);
  const named = async (type: Parameters<typeof idInGroup>[1], names: readonly string[]) =>
    (await Promise.all(names.map((name) => idInGroup(work, type, name)))).flatMap((id) => id ?? []);
  const ownDisks = await named(
    RESOURCE_TYPES.disk,
    own.map((part) => part.diskName),
  );
  const ownSnapshots = await named(
    RESOURCE_TYPES.snapshot,
    own.map((part) => part.snapshotName),
  );
  return {
    disks: once([...ofRole('failback-disk'), ...ownDisks]),
    snapshots: once([...ofRole('failback-snapshot'), ...ownSnapshots]),
  };
}

function once(ids: readonly string[]): string[] {
  return [...new Map(ids.map((id) => [id.toLowerCase(), id])).values()];
}

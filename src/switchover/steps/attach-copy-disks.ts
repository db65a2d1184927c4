/**
 * Promises that the copies of the standby's disks are attached to the appliance, each at a LUN of its own; which is
 * remembered before Azure is asked. Somebody may take a LUN in the same moment: Azure then refuses, and the next try
 * chooses again. Undo detaches them.
 */
import { StandbyError } from '../../errors.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import type { CloudMachine } from '../../ports/cloud-machines.ts';
import type { DiskPart } from '../blueprint.ts';
import { CLOUD_RETRY } from '../durably.ts';
import type { Work } from '../work.ts';
import { createCopyDiskId } from './copy-standby-disk.ts';

export const ATTACH_COPY_DISKS = 'attach-copy-disks';

/** By the master's disk id. */
export interface AttachedCopies {
  readonly luns: Readonly<Record<string, number>>;
}

interface Checkpoint extends AttachedCopies {
  readonly operation?: unknown;
}

/** LUN 0 is the appliance's journal disk. */
const FIRST_LUN = 1;

export function attachCopyDisksStep(work: Work, parts: readonly DiskPart[]): Step<AttachedCopies> {
  return {
    id: ATTACH_COPY_DISKS,
    title: `Attach these disks to ${work.appliance.name}`,
    actions: actionsOf('machines.get', 'machines.attachDisks', 'machines.detachDisks', 'disks.get'),
    retry: CLOUD_RETRY,
    async run(context) {
      const machine = await applianceMachine(work);
      const before = context.checkpoint as Checkpoint | null | undefined;
      const disks = parts.map(({ diskId }) => ({
        diskId,
        id: context.output<{ id: string }>(createCopyDiskId(diskId)).id,
      }));
      const luns = chooseLuns(disks, machine, before?.luns ?? {});
      const isSame = JSON.stringify(luns) === JSON.stringify(before?.luns);
      if (!isSame) await context.save({ luns } satisfies Checkpoint);
      await attach(work, context, machine.id, {
        disks,
        luns,
        operation: isSame ? before?.operation : undefined,
      });
      return { luns };
    },
    async undo({ signal }) {
      const machine = await applianceMachine(work);
      const { resourceGroup } = work.scenario.vm;
      const found = await Promise.all(
        parts.map(({ diskName }) => work.cloud.disks.get(resourceGroup, diskName)),
      );
      await detachFrom(
        work,
        machine,
        found.flatMap((disk) => (disk ? [disk.id] : [])),
        signal,
      );
    },
  };
}

export async function applianceMachine(work: Work): Promise<CloudMachine> {
  const { appliance } = work;
  const machine = appliance.azure && (await work.cloud.machines.get(appliance.azure.vmId));
  if (machine) return machine;
  throw new StandbyError({
    code: 'APPLIANCE_GONE',
    what: `The VM of appliance "${appliance.name}" is gone, or is not in Azure.`,
    next: 'Deploy it again: standby appliance deploy',
  });
}

/** Those of these that are attached there. */
export async function detachFrom(
  work: Work,
  machine: CloudMachine,
  diskIds: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const wanted = diskIds.map((id) => id.toLowerCase());
  const attached = machine.dataDisks.filter((disk) => wanted.includes(disk.diskId.toLowerCase()));
  if (attached.length === 0) return;
  await work.cloud.machines.detachDisks(
    machine.id,
    attached.map((disk) => disk.diskId),
    { signal },
  );
}

function chooseLuns(
  disks: readonly { readonly diskId: string; readonly id: string }[],
  machine: CloudMachine,
  remembered: AttachedCopies['luns'],
): AttachedCopies['luns'] {
  const taken = new Set(machine.dataDisks.map((disk) => disk.lun));
  const luns: Record<string, number> = {};
  for (const { diskId, id } of disks) {
    const attached = machine.dataDisks.find((disk) => disk.diskId.toLowerCase() === id.toLowerCase());
    const before = remembered[diskId];
    let lun = attached?.lun ?? (before !== undefined && !taken.has(before) ? before : FIRST_LUN);
    if (!attached) while (taken.has(lun)) lun++;
    luns[diskId] = lun;
    taken.add(lun);
  }
  return luns;
}

async function attach(
  work: Work,
  context: StepContext,
  vmId: string,
  what: {
    readonly disks: readonly { readonly diskId: string; readonly id: string }[];
    readonly luns: AttachedCopies['luns'];
    readonly operation: unknown;
  },
): Promise<void> {
  const { luns } = what;
  const disks = what.disks.map(({ diskId, id }) => ({ diskId: id, lun: luns[diskId] ?? FIRST_LUN }));
  await work.cloud.machines.attachDisks(vmId, disks, {
    signal: context.signal,
    saved: what.operation,
    save: (operation) => context.save({ luns, operation } satisfies Checkpoint),
  });
}

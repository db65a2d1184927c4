import type { AttachDetachDataDisksRequest, DataDisk, VirtualMachine } from '@azure/arm-compute';
import { StandbyError } from '../../../src/errors.ts';
import type { Operation } from '../../../src/ports/cloud.ts';
import type { CloudMachines } from '../../../src/ports/cloud-machines.ts';
import { parseArmId, sameId } from '../arm-id.ts';
import type { Azure } from '../azure.ts';
import { runOperation, savedFor } from '../operation.ts';
import { machineOf } from './machine-view.ts';

/**
 * Data disks of a running VM. Two ways in Azure: attachDetachDataDisks, which names only the disks that change,
 * and the VM update, which sends the whole list. The first is refused in some subscriptions and regions. The second goes
 * with the etag of the list that it changes: a disk that somebody else attached meanwhile is not taken away again.
 * Promise: asking twice attaches once. If we die at any line, the next call looks at the VM first and asks only
 * for what is still missing, or polls on the operation that was saved.
 */
export function makeDataDisks(
  azure: Azure,
  find: (resourceGroup: string, name: string) => Promise<VirtualMachine | undefined>,
): Pick<CloudMachines, 'attachDisks' | 'detachDisks'> {
  const attachDisks: CloudMachines['attachDisks'] = (id, disks, operation) =>
    whileOthersChange(async () => {
      const machine = await mustFind(find, id);
      const missing = disks.filter((disk) => !isAttached(machine, disk));
      if (missing.length === 0) return machineOf(machine);
      const all = machine.storageProfile?.dataDisks ?? [];
      const change: Change = {
        title: 'attach',
        etag: machine.etag,
        about: disks.map((each) => each.diskId),
        request: { dataDisksToAttach: missing.map(({ diskId, lun }) => ({ diskId, lun })) },
        dataDisks: [
          ...all,
          ...missing.map(({ diskId, lun }) => ({
            lun,
            createOption: 'Attach',
            managedDisk: { id: diskId },
            deleteOption: 'Detach',
          })),
        ],
      };
      await apply(azure, id, change, operation).catch(async (error: unknown) => {
        throw lunTaken(await mustFind(find, id), missing, error) ?? error;
      });
      const after = await mustFind(find, id);
      const absent = missing.find((disk) => !isAttached(after, disk));
      if (absent) throw notDone(id, `The disk ${parseArmId(absent.diskId).name} is not attached.`);
      return machineOf(after);
    });

  const detachDisks: CloudMachines['detachDisks'] = (id, diskIds, operation) =>
    whileOthersChange(async () => {
      const machine = await mustFind(find, id);
      const all = machine.storageProfile?.dataDisks ?? [];
      const goes = (disk: DataDisk) => diskIds.some((diskId) => sameId(diskId, disk.managedDisk?.id));
      const present = all.filter(goes);
      if (present.length === 0) return machineOf(machine);
      const change: Change = {
        title: 'detach',
        etag: machine.etag,
        about: diskIds,
        request: {
          dataDisksToDetach: present.flatMap(({ managedDisk }) =>
            managedDisk?.id ? [{ diskId: managedDisk.id }] : [],
          ),
        },
        // Leaving the entry out instead leads to AttachDiskWhileBeingDetached at the next attach.
        dataDisks: all.map((disk) => (goes(disk) ? { ...disk, toBeDetached: true } : disk)),
      };
      await apply(azure, id, change, operation);
      const after = await mustFind(find, id);
      if ((after.storageProfile?.dataDisks ?? []).some((disk) => goes(disk) && !disk.toBeDetached)) {
        throw notDone(id, 'A disk is still attached.');
      }
      return machineOf(after);
    });

  return { attachDisks, detachDisks };
}

/** Somebody else was quicker so many times in a row: no longer a coincidence. */
const CHANGED_TRIES_MAX = 10;

/** Looks and asks anew when the VM is no longer what was looked at; nothing has been changed then. */
async function whileOthersChange<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      const isOthers = error instanceof StandbyError && error.code === 'PreconditionFailed';
      if (!isOthers || tries >= CHANGED_TRIES_MAX) throw error;
    }
  }
}

interface Change {
  readonly title: 'attach' | 'detach';
  /** All the disks that were asked for: an operation saved for other ones is not mistaken for this one. */
  readonly about: readonly string[];
  readonly request: AttachDetachDataDisksRequest;
  readonly dataDisks: DataDisk[];
  /** Of the VM with the list that this changes. */
  readonly etag: string | undefined;
}

async function apply(azure: Azure, id: string, change: Change, operation?: Operation): Promise<void> {
  const { calls, clients, endpoints } = azure;
  const { resourceGroup, name } = parseArmId(id);
  const client = await clients.compute();
  const { restorePoller } = await import('@azure/arm-compute');
  const what = `The disks of the VM ${name} could not be ${change.title}ed.`;
  const names = change.about.map((diskId) => parseArmId(diskId).name.toLowerCase()).sort();
  const key = `vm/${change.title}/${resourceGroup}/${name}/${names.join(',')}`;
  const updateKey = `update/${key}`;
  if (savedFor(updateKey, endpoints.resourceManagerUrl, operation) === undefined) {
    try {
      await runOperation(
        calls,
        endpoints.resourceManagerUrl,
        {
          what,
          key,
          submit: () => client.virtualMachines.attachDetachDataDisks(resourceGroup, name, change.request),
          restore: (state) => restorePoller(client, state, client.virtualMachines.attachDetachDataDisks),
        },
        operation,
      );
      return;
    } catch (error) {
      if (!isNotOffered(error)) throw error;
      calls.log.info('attachDetachDataDisks is not offered here; updating the VM instead', { vm: name });
    }
  }
  await runOperation(
    calls,
    endpoints.resourceManagerUrl,
    {
      what,
      key: updateKey,
      submit: () =>
        client.virtualMachines.update(
          resourceGroup,
          name,
          { storageProfile: { dataDisks: change.dataDisks } },
          change.etag === undefined ? {} : { ifMatch: change.etag },
        ),
      restore: (state) => restorePoller(client, state, client.virtualMachines.update),
    },
    operation,
  );
}

/** "The subscription is not enabled for using the attach detach data disks API.", or a cloud that lacks it. */
function isNotOffered(error: unknown): boolean {
  if (!(error instanceof StandbyError)) return false;
  if (/not enabled for using the attach detach data disks/i.test(error.why ?? '')) return true;
  return /^(HTTP_405|HTTP_501|NotImplemented|MethodNotAllowed)$/.test(error.code);
}

async function mustFind(
  find: (resourceGroup: string, name: string) => Promise<VirtualMachine | undefined>,
  id: string,
): Promise<VirtualMachine> {
  const { resourceGroup, name } = parseArmId(id);
  const machine = await find(resourceGroup, name);
  if (machine) return machine;
  throw new StandbyError({
    code: 'RESOURCE_NOT_FOUND',
    what: `There is no VM ${name} in the resource group ${resourceGroup}.`,
    next: 'Check that it was not deleted.',
  });
}

function isAttached(machine: VirtualMachine, wanted: { diskId: string; lun: number }): boolean {
  const found = machine.storageProfile?.dataDisks?.find((disk) =>
    sameId(disk.managedDisk?.id, wanted.diskId),
  );
  if (!found || found.toBeDetached) return false;
  if (found.lun === wanted.lun) return true;
  throw new StandbyError({
    code: 'DISK_AT_OTHER_LUN',
    what: `The disk ${parseArmId(wanted.diskId).name} is attached at LUN ${found.lun}, not ${wanted.lun}.`,
    next: 'Detach it from the VM, then try again.',
  });
}

/** Azure says it in several ways; what the VM has tells. Somebody else attached a disk between our look and our request. */
function lunTaken(
  machine: VirtualMachine,
  wanted: readonly { readonly diskId: string; readonly lun: number }[],
  cause: unknown,
): StandbyError | undefined {
  const taken = wanted.find(({ diskId, lun }) =>
    machine.storageProfile?.dataDisks?.some(
      (disk) => disk.lun === lun && !sameId(disk.managedDisk?.id, diskId),
    ),
  );
  if (!taken) return undefined;
  return new StandbyError({
    code: 'LUN_TAKEN',
    what: `LUN ${taken.lun} of the VM ${machine.name} has another disk by now.`,
    next: 'Try again: another LUN is chosen.',
    retry: 'later',
    cause,
  });
}

function notDone(id: string, why: string): StandbyError {
  return new StandbyError({
    code: 'DISKS_NOT_CHANGED',
    what: `Azure finished, but the VM ${parseArmId(id).name} is not as it was asked to be.`,
    why,
    next: 'Somebody else may be changing this VM: look at it in the portal, then try again.',
    retry: 'later',
  });
}

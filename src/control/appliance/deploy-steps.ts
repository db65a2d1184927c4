import { StandbyError } from '../../errors.ts';
import { ENGINE_PORT } from '../../model/appliance.ts';
import { storageAccountName } from '../../model/names.ts';
import type { Step } from '../../plan/plan.ts';
import type { CloudDisk, ResourceGroup } from '../../ports/cloud.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import { applianceTokenName } from '../connect.ts';
import type { PublicIpOut } from './deploy-network-steps.ts';
import type { Deployment } from './deploy-plan.ts';
import { makeEnrolmentToken } from './records.ts';

/**
 * Steps of a deployment around the VM itself. Each promises to find what an earlier try made, by its derived name,
 * and each may die at any line: Azure's `ensure` and `create` calls of the same name are the same thing twice.
 */

/** The resource group stays when a deployment is undone: it may hold other things. */
export function ensureGroup({ cloud, input }: Deployment): Step<ResourceGroup> {
  return {
    id: 'resource-group',
    title: `Resource group ${input.resourceGroup}`,
    actions: actionsOf('groups.get', 'groups.ensure'),
    makes: [{ type: 'Microsoft.Resources/resourceGroups', name: input.resourceGroup }],
    async find() {
      const group = await cloud.groups.get(input.resourceGroup);
      if (!group || group.location.toLowerCase() === input.region.toLowerCase()) return group;
      throw new StandbyError({
        code: 'REGION_DIFFERS',
        what: `The resource group ${input.resourceGroup} is in ${group.location}, not in ${input.region}.`,
        why: 'An appliance is made in the region of its resource group.',
        next: 'Undo this deployment and choose another resource group or region.',
      });
    },
    run: () => cloud.groups.ensure(input.resourceGroup, input.region),
  };
}

export interface JournalOut {
  readonly diskId: string;
}

export function makeJournalDisk({ cloud, input, names, tags }: Deployment): Step<JournalOut> {
  const find = async (): Promise<CloudDisk | undefined> => {
    const disk = await cloud.disks.get(input.resourceGroup, names.journalDisk);
    return disk?.provisioning === 'Succeeded' ? disk : undefined;
  };
  return {
    id: 'journal-disk',
    title: `Journal disk ${names.journalDisk} (${input.journalGib} GiB)`,
    actions: actionsOf('disks.get', 'disks.createEmpty', 'disks.delete'),
    makes: [{ type: 'Microsoft.Compute/disks', name: names.journalDisk }],
    async find() {
      const disk = await find();
      return disk && { diskId: disk.id };
    },
    async run(context) {
      const disk = await cloud.disks.createEmpty(
        {
          resourceGroup: input.resourceGroup,
          name: names.journalDisk,
          location: input.region,
          type: input.journalType,
          sizeGib: input.journalGib,
          ...(input.zone ? { zone: input.zone } : {}),
          tags,
        },
        { signal: context.signal, saved: context.checkpoint, save: context.save },
      );
      return { diskId: disk.id };
    },
    async undo() {
      const disk = await cloud.disks.get(input.resourceGroup, names.journalDisk);
      if (disk) await cloud.disks.delete(disk.id, tags['standby-scenario']);
    },
  };
}

export interface BundleOut {
  readonly sha256: string;
}

const BUNDLE_URL_MS = 2 * 3_600_000;

/**
 * Uploads the engine. The signed URL is not part of the output: outputs are stored in the clear, and the VM's step
 * asks for a fresh one anyway. The storage account stays when a deployment is undone; other appliances share it.
 */
export function publishBundle(deployment: Deployment): Step<BundleOut> {
  const { input, account } = deployment;
  const name = storageAccountName(account.subscriptionId, input.resourceGroup);
  return {
    id: 'bundle',
    title: 'Engine bundle uploaded',
    actions: actionsOf('bundles.publish'),
    makes: [{ type: 'Microsoft.Storage/storageAccounts', name }],
    async run(context) {
      const { sha256 } = await publish(deployment, {
        signal: context.signal,
        saved: context.checkpoint,
        save: context.save,
      });
      return { sha256 };
    },
  };
}

/** Idempotent: uploads unless the same digest lies there already. The URL ends after two hours. */
export async function publish(
  { context, cloud, account, input, tags }: Deployment,
  operation: { signal: AbortSignal; saved?: unknown; save?(state: unknown): Promise<void> },
): Promise<{ url: string; sha256: string }> {
  const { file, sha256 } = await context.firstBoot.bundle();
  const { url } = await cloud.bundles.publish(
    {
      resourceGroup: input.resourceGroup,
      location: input.region,
      accountName: storageAccountName(account.subscriptionId, input.resourceGroup),
      file,
      sha256,
      expiresAtMs: context.clock.now() + BUNDLE_URL_MS,
      tags,
    },
    operation,
  );
  return { url, sha256 };
}

export interface RecordOut {
  readonly address: string;
}

/** The token first: a record without its token could never be enrolled. */
export function recordAppliance({ context, account, input, vmId }: Deployment): Step<RecordOut> {
  const { store, secrets, clock } = context;
  const token = applianceTokenName(input.applianceId);
  return {
    id: 'record',
    title: 'Appliance remembered, one-time token made',
    async find(step) {
      const { address } = step.output<PublicIpOut>('public-ip');
      const saved = await store.appliances.get(input.applianceId);
      if (!saved || saved.address !== address) return undefined;
      return saved.enrolment === 'enrolled' || (await secrets.get(token)) !== undefined
        ? { address }
        : undefined;
    },
    async run(step) {
      const { address } = step.output<PublicIpOut>('public-ip');
      await secrets.getOrMake(token, async () => makeEnrolmentToken());
      if (await store.appliances.get(input.applianceId)) {
        await store.appliances.update(input.applianceId, (saved) => ({ ...saved, address }));
        return { address };
      }
      const azure = { accountId: account.id, vmId, resourceGroup: input.resourceGroup, region: input.region };
      await store.appliances.insert({
        id: input.applianceId,
        name: input.name,
        address,
        port: ENGINE_PORT,
        azure,
        enrolment: 'pending',
        createdAtMs: clock.now(),
      });
      return { address };
    },
    async undo() {
      await store.appliances.remove(input.applianceId);
      await secrets.remove(token);
    },
  };
}

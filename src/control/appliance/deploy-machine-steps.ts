import { StandbyError } from '../../errors.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import type { CloudMachine } from '../../ports/cloud-machines.ts';
import { openAuthority } from '../authority.ts';
import { applianceTokenName } from '../connect.ts';
import { IMAGES } from './deploy-input.ts';
import type { NicOut } from './deploy-network-steps.ts';
import type { Deployment } from './deploy-plan.ts';
import { type JournalOut, publish } from './deploy-steps.ts';

/**
 * The VM and its first boot. A VM of that name which Azure finished is taken as it is, never made again: what its
 * first boot was given cannot be changed. Dying after the submission is no loss; the next try re-attaches.
 */
export interface MachineOut {
  readonly vmId: string;
}

const ADMIN_USER = 'standby';
const RUNNING_WITHIN_MS = 10 * 60_000;
const LOOK_AGAIN_MS = 2_000;

export function makeMachine(deployment: Deployment): Step<MachineOut> {
  const { cloud, input, names, vmId } = deployment;
  return {
    id: 'machine',
    title: `Virtual machine ${names.vm} (${input.size}, ${IMAGES[input.image].label})`,
    actions: actionsOf(
      'machines.get',
      'machines.createFromImage',
      'machines.delete',
      'disks.get',
      'disks.delete',
      'bundles.publish',
    ),
    makes: [
      { type: 'Microsoft.Compute/virtualMachines', name: names.vm },
      { type: 'Microsoft.Compute/disks', name: names.osDisk },
    ],
    async find() {
      const machine = await cloud.machines.get(vmId);
      if (!machine) return undefined;
      refuseForeign(machine, deployment);
      return machine.provisioning === 'Succeeded' ? { vmId: machine.id } : undefined;
    },
    async run(context) {
      await removeFailed(deployment, context);
      const machine = await create(deployment, context);
      return { vmId: machine.id };
    },
    undo: () => removeMachine(deployment),
  };
}

/** Its OS disk goes too; the NIC and the journal disk are other steps' own. */
async function removeMachine({ cloud, input, names, tags, vmId }: Deployment): Promise<void> {
  await cloud.machines.delete(vmId, tags['standby-scenario']);
  const osDisk = await cloud.disks.get(input.resourceGroup, names.osDisk);
  if (osDisk) await cloud.disks.delete(osDisk.id, tags['standby-scenario']);
}

/**
 * After AllocationFailed and its like a VM stays behind that never ran, and that refuses other first-boot data.
 * It is ours (find has looked), nothing is on it, and nobody has enrolled it.
 */
async function removeFailed(deployment: Deployment, step: StepContext): Promise<void> {
  const { context, cloud, input, vmId, names } = deployment;
  const machine = await cloud.machines.get(vmId);
  if (machine?.provisioning !== 'Failed') return;
  const record = await context.store.appliances.get(input.applianceId);
  if (record?.enrolment === 'enrolled') throw failedMachine(machine);
  step.progress(`Removing ${names.vm}, which Azure failed to make`);
  await removeMachine(deployment);
}

async function create(deployment: Deployment, step: StepContext): Promise<CloudMachine> {
  const { context, cloud, account, input, names, tags } = deployment;
  const token = await context.secrets.get(applianceTokenName(input.applianceId));
  if (token === undefined) throw new Error('The record step is done, so the token is stored');
  const { caSha256 } = await openAuthority(context);
  step.progress('Asking for the bundle’s URL', { passing: true });
  const { url, sha256 } = await publish(deployment, { signal: step.signal });
  const userData = context.firstBoot.userData({
    bundleUrl: url,
    bundleSha256: sha256,
    ...(account.custom?.caPem ? { bundleCaPem: account.custom.caPem } : {}),
    applianceId: input.applianceId,
    token,
    caSha256,
  });
  step.progress('Waiting for Azure', { passing: true });
  return cloud.machines.createFromImage(
    {
      resourceGroup: input.resourceGroup,
      name: names.vm,
      location: input.region,
      size: input.size,
      ...(input.zone ? { zone: input.zone } : {}),
      image: IMAGES[input.image].image,
      osDiskName: names.osDisk,
      adminUser: ADMIN_USER,
      sshPublicKey: input.sshPublicKey,
      userData,
      dataDisks: [{ diskId: step.output<JournalOut>('journal-disk').diskId, lun: 0 }],
      nicIds: [step.output<NicOut>('network-interface').nicId],
      tags,
    },
    { signal: step.signal, saved: step.checkpoint, save: step.save },
  );
}

function refuseForeign(machine: CloudMachine, { tags, input }: Deployment): void {
  if (machine.tags['standby-scenario'] === tags['standby-scenario']) return;
  throw new StandbyError({
    code: 'NOT_OURS',
    what: `There is already a virtual machine ${machine.name} in ${input.resourceGroup}, and it is not ours.`,
    next: 'Undo this deployment and choose another name or resource group.',
  });
}

function failedMachine(machine: CloudMachine): StandbyError {
  return new StandbyError({
    code: 'MACHINE_FAILED',
    what: `The virtual machine ${machine.name} runs an enrolled appliance, but its provisioning state is Failed.`,
    next: 'Look at its boot diagnostics in the portal; restart or delete it there, then resume.',
  });
}

export interface RunningOut {
  readonly power: string;
}

export function waitForMachine({ context, cloud, names, vmId }: Deployment): Step<RunningOut> {
  return {
    id: 'running',
    title: `${names.vm} is running`,
    actions: actionsOf('machines.instance', 'machines.start'),
    async run(step) {
      const untilMs = context.clock.now() + RUNNING_WITHIN_MS;
      for (;;) {
        const power = (await cloud.machines.instance(vmId))?.power;
        if (power === 'running') return { power };
        if (power === 'stopped' || power === 'deallocated')
          await cloud.machines.start(vmId, { signal: step.signal });
        if (context.clock.now() > untilMs) throw notRunning(names.vm, power, step.runId);
        step.progress(`Waiting until it runs; its power state is ${power ?? 'not known yet'}`, {
          passing: true,
        });
        await context.clock.sleep(LOOK_AGAIN_MS, step.signal);
      }
    },
  };
}

function notRunning(name: string, power: string | undefined, runId: string): StandbyError {
  return new StandbyError({
    code: 'MACHINE_NOT_RUNNING',
    what: `${name} is not running after ten minutes.`,
    why: `Its power state is ${power ?? 'not known'}.`,
    next: `Look at its boot diagnostics in the portal, then: standby resume ${runId}`,
    retry: 'later',
  });
}

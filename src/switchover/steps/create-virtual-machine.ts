/**
 * Promises the standby VM, with its disks and NICs attached. It carries the scenario's VM name, so its tags say
 * whether it is this run's. A VM that Azure could not place stays behind as `Failed`; the next try removes it first.
 * After a crash it is found, or its saved operation is waited for, or it is asked for again. Undo deletes the VM and
 * leaves disks and NICs to their own steps.
 */
import { StandbyError } from '../../errors.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import type { CloudMachine } from '../../ports/cloud-machines.ts';
import { type Blueprint, idInGroup, RESOURCE_TYPES, scenarioTag, tagsFor } from '../blueprint.ts';
import { assertOurs, CLOUD_RETRY, durably } from '../durably.ts';
import { settled } from '../settled.ts';
import type { Work } from '../work.ts';
import { createNetworkInterfaceId, type MadeNic } from './create-network-interface.ts';
import { createStandbyDiskId, type MadeDisk } from './create-standby-disk.ts';

export const CREATE_VIRTUAL_MACHINE = 'create-virtual-machine';

export interface MadeMachine {
  readonly vmId: string;
}

export function createVirtualMachineStep(work: Work, blueprint: Blueprint): Step<MadeMachine> {
  const { name, size } = work.scenario.vm;
  return {
    id: CREATE_VIRTUAL_MACHINE,
    title: `Virtual machine ${name} (${size})`,
    actions: actionsOf('groups.get', 'machines.get', 'machines.createFromDisks', 'machines.delete'),
    makes: [{ type: RESOURCE_TYPES.machine, name }],
    retry: CLOUD_RETRY,
    async find() {
      const machine = await lookForOurs(work);
      return machine?.provisioning === 'Succeeded' ? { vmId: machine.id } : undefined;
    },
    async run(context) {
      const anew = await removeFailed(work, context);
      const spec = machineSpec(work, blueprint, context);
      const machine = await durably(
        context,
        (operation) => work.cloud.machines.createFromDisks(spec, operation),
        { anew },
      );
      return { vmId: machine.id };
    },
    async undo(context) {
      const machine = await settled(work.clock, context.signal, () => look(work));
      if (!machine || !isOfThisRun(work, machine)) return;
      await work.cloud.machines.delete(machine.id, scenarioTag(work), { signal: context.signal });
    },
  };
}

async function look(work: Work): Promise<CloudMachine | undefined> {
  const id = await idInGroup(work, RESOURCE_TYPES.machine, work.scenario.vm.name);
  return id === undefined ? undefined : work.cloud.machines.get(id);
}

async function lookForOurs(work: Work): Promise<CloudMachine | undefined> {
  const machine = await look(work);
  if (!machine) return undefined;
  assertOurs(work, machine);
  if (isOfThisRun(work, machine)) return machine;
  throw new StandbyError({
    code: 'STANDBY_EXISTS',
    what: `The standby VM "${machine.name}" of an earlier run exists already (${machine.id}).`,
    next: `Use it, or remove it (standby vm stop ${work.scenario.name} --remove), then resume.`,
  });
}

function isOfThisRun(work: Work, machine: CloudMachine): boolean {
  return machine.tags['standby-run'] === work.runId && machine.tags['standby-scenario'] === scenarioTag(work);
}

async function removeFailed(work: Work, context: StepContext): Promise<boolean> {
  const machine = await lookForOurs(work);
  if (machine?.provisioning !== 'Failed') return false;
  context.progress(`An earlier try left "${machine.name}" behind as failed; removing it first`);
  await work.cloud.machines.delete(machine.id, scenarioTag(work), { signal: context.signal });
  return true;
}

function machineSpec(work: Work, blueprint: Blueprint, context: StepContext) {
  const { name, size, resourceGroup, zone } = work.scenario.vm;
  const diskIdOf = (diskId: string) => context.output<MadeDisk>(createStandbyDiskId(diskId)).diskId;
  const [osDisk, ...dataDisks] = blueprint.disks;
  if (!osDisk)
    throw new StandbyError({ code: 'NO_BOOT_DISK', what: `Scenario "${work.scenario.name}" has no disk.` });
  return {
    resourceGroup,
    name,
    location: work.scenario.region,
    size,
    ...(zone ? { zone } : {}),
    osDiskId: diskIdOf(osDisk.diskId),
    osType: blueprint.os.osType,
    dataDisks: dataDisks.map((part, index) => ({ diskId: diskIdOf(part.diskId), lun: part.lun ?? index })),
    nicIds: blueprint.nics.map(
      (part) => context.output<MadeNic>(createNetworkInterfaceId(part.nic.masterNicId)).nicId,
    ),
    tags: tagsFor(work, 'standby-vm'),
  };
}

import { isoTime } from '../../../src/clock.ts';
import type { ArmContext, Resource, View } from '../arm/behaviour.ts';
import { type JsonObject, objectAt, objectsAt, textAt } from '../arm/json.ts';
import { withProperties } from './disk-model.ts';

/** How a VM looks from outside: its power state, what its guest does, and its disks as they are now. */
const POWER_TEXT: Readonly<Record<string, string>> = {
  running: 'VM running',
  starting: 'VM starting',
  stopping: 'VM stopping',
  stopped: 'VM stopped',
  deallocating: 'VM deallocating',
  deallocated: 'VM deallocated',
};

export type Power = keyof typeof POWER_TEXT & string;

export function powerOf(context: ArmContext, machine: Resource): Power {
  const asked = textAt(machine.hidden, 'power') ?? 'stopped';
  if (asked === 'starting' && machine.provisioningState === 'Failed') return 'stopped';
  if (asked !== 'running') return asked;
  const guest = context.guests.status(machine.id);
  return guest === 'running' || guest === 'simulated' ? 'running' : 'stopped';
}

function status(code: string, displayStatus: string, time?: string, more: JsonObject = {}): JsonObject {
  return { code, level: 'Info', displayStatus, ...(time === undefined ? {} : { time }), ...more };
}

/** Why nothing boots although the VM is running; undefined when a guest is there. */
export function skippedReason(context: ArmContext, machine: Resource): string | undefined {
  if (context.guests.status(machine.id) !== 'simulated') return undefined;
  if (context.guests.kind === 'none') return 'guests are off (--guests none)';
  if (textAt(machine.hidden, 'guest') === 'image') return 'images of the marketplace have no content here';
  return 'QEMU is not installed on this machine';
}

export function instanceView(context: ArmContext, machine: Resource): JsonObject {
  const time = isoTime(context.clock.now());
  const power = powerOf(context, machine);
  const reason = power === 'running' ? skippedReason(context, machine) : undefined;
  const disks = [
    objectAt(machine.properties, 'storageProfile.osDisk') ?? {},
    ...objectsAt(machine.properties, 'storageProfile.dataDisks'),
  ];
  const state = machine.provisioningState;
  const word =
    state === 'Succeeded' ? 'Provisioning succeeded' : state === 'Failed' ? 'Provisioning failed' : state;
  const isFailed = state === 'Failed';
  return {
    ...(textAt(machine.properties, 'osProfile.computerName')
      ? { computerName: textAt(machine.properties, 'osProfile.computerName') }
      : {}),
    vmAgent: {
      vmAgentVersion: 'Unknown',
      statuses: [
        status('ProvisioningState/Unavailable', 'Not Ready', time, {
          level: 'Warning',
          message: 'VM status blob is found but not yet populated.',
        }),
      ],
    },
    disks: disks.map((disk) => ({
      name: textAt(disk, 'name'),
      statuses: [status('ProvisioningState/succeeded', 'Provisioning succeeded', time)],
    })),
    hyperVGeneration: textAt(machine.hidden, 'generation') ?? 'V1',
    statuses: [
      status(`ProvisioningState/${state.toLowerCase()}`, word, time, isFailed ? { level: 'Error' } : {}),
      ...(machine.hidden.generalized === true ? [status('OSState/generalized', 'VM generalized')] : []),
      status(`PowerState/${power}`, POWER_TEXT[power] ?? power),
      ...(reason === undefined
        ? []
        : [status('BootState/skipped', `Boot skipped: ${reason}`, time, { level: 'Warning' })]),
    ],
  };
}

/** Size and type of a disk may change while it is attached: shown as they are. */
function dressed(context: ArmContext, entry: JsonObject): JsonObject {
  const id = textAt(entry, 'managedDisk.id');
  const disk = id === undefined ? undefined : context.graph.get(id);
  if (disk === undefined) return entry;
  return {
    ...entry,
    managedDisk: {
      ...objectAt(entry, 'managedDisk'),
      id: disk.id,
      storageAccountType: textAt(disk.top, 'sku.name'),
    },
    diskSizeGB: disk.properties.diskSizeGB,
  };
}

export function presentMachine(
  context: ArmContext,
  machine: Resource,
  shown: JsonObject,
  view: View,
): JsonObject {
  const profile = objectAt(machine.properties, 'storageProfile') ?? {};
  const expand = (view.query.get('$expand') ?? '').toLowerCase();
  const userData = textAt(machine.hidden, 'userData');
  return withProperties(shown, {
    storageProfile: {
      ...profile,
      osDisk: dressed(context, objectAt(profile, 'osDisk') ?? {}),
      dataDisks: objectsAt(profile, 'dataDisks').map((entry) => dressed(context, entry)),
    },
    ...(expand.includes('instanceview') ? { instanceView: instanceView(context, machine) } : {}),
    ...(expand.includes('userdata') && userData !== undefined ? { userData } : {}),
  });
}

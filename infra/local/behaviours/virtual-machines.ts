import { isoTime } from '../../../src/clock.ts';
import { ArmError } from '../arm/arm-error.ts';
import type { ArmContext, Behaviour, Put, Resource } from '../arm/behaviour.ts';
import { booleanAt, type JsonObject, listAt, objectAt, objectsAt, textAt } from '../arm/json.ts';
import { machineAction, machineCreate, machineUpdate } from '../arm/operation-shape.ts';
import { sameId } from '../arm/resource-id.ts';
import { sizeDocuments, type VmSize } from '../sizes.ts';
import { COMPUTE_VERSIONS } from './api-versions.ts';
import { checkZones, ensureDiskFile, removeFileOf } from './disk-model.ts';
import { machineActions, startGuest } from './machine-actions.ts';
import { checkGeneration, checkPremium, requireNics, requireSize } from './machine-checks.ts';
import { finishDetach, newOsDisk, nextDataDisks, release, sameOsDisk } from './machine-disks.ts';
import { checkMachineQuota } from './machine-quota.ts';
import { instanceView, presentMachine } from './machine-view.ts';
import { notChangeable, requiredMissing, TYPES } from './references.ts';

/**
 * Virtual machines. `hidden.power` is what was asked for (the guest host makes it so), `hidden.guest` says what
 * carries it: a QEMU guest from a filled disk, an appliance's local process, or nothing (a plain marketplace image).
 */
function osProfile(put: Put): JsonObject {
  const { resource } = put;
  const profile = objectAt(resource.properties, 'osProfile');
  if (profile === undefined) throw requiredMissing('osProfile');
  const computerName = textAt(profile, 'computerName') ?? resource.name;
  if (!/^[A-Za-z0-9]([A-Za-z0-9-]{0,62}[A-Za-z0-9])?$/.test(computerName)) {
    throw new ArmError(
      400,
      'InvalidParameter',
      'Linux host name cannot exceed 64 characters in length or contain the following characters: ` ~ ! @ # $ % ^ & * ( ) = + _ [ ] { } \\ | ; : \' " , < > / ?.',
      'linuxHostName',
    );
  }
  if (textAt(profile, 'adminUsername') === undefined) throw requiredMissing('osProfile.adminUsername');
  const keys = listAt(profile, 'linuxConfiguration.ssh.publicKeys');
  const isWindows = profile.windowsConfiguration !== undefined;
  if (isWindows && textAt(profile, 'adminPassword') === undefined)
    throw requiredMissing('osProfile.adminPassword');
  if (!isWindows && keys.length === 0 && textAt(profile, 'adminPassword') === undefined) {
    throw new ArmError(
      400,
      'InvalidParameter',
      'Authentication using either SSH or by user name and password must be enabled in Linux profile.',
      'linuxConfiguration',
    );
  }
  keepUserData(put, textAt(profile, 'customData'));
  const { adminPassword: _password, customData: _custom, ...shown } = profile;
  return {
    ...shown,
    computerName,
    allowExtensionOperations: true,
    requireGuestProvisionSignal: true,
    secrets: [],
  };
}

/** customData and userData are write-only: they stay with the VM and are never shown again. */
function keepUserData(put: Put, customData: string | undefined): void {
  const { resource } = put;
  const userData = textAt(resource.properties, 'userData');
  for (const [field, text] of [
    ['customData', customData],
    ['userData', userData],
  ] as const) {
    if (text === undefined) continue;
    if (!/^[A-Za-z0-9+/=\s]*$/.test(text) || text.length > 87380) {
      throw new ArmError(
        400,
        'InvalidParameter',
        'Custom data in OSProfile must be in Base64 encoding and with a maximum length of 87380 characters.',
        field,
      );
    }
    resource.hidden[field] = text;
  }
}

function bindNics(context: ArmContext, machine: Resource, nics: readonly Resource[]): void {
  const entries = objectsAt(machine.properties, 'networkProfile.networkInterfaces');
  const marked = entries.findIndex((entry) => booleanAt(entry, 'properties.primary') === true);
  nics.forEach((nic, index) => {
    context.graph.update(nic.id, (resource) => {
      resource.hidden.machineId = machine.id;
      resource.hidden.primary = index === Math.max(0, marked);
    });
  });
}

function networkProfile(machine: Resource, nics: readonly Resource[]): JsonObject {
  const entries = objectsAt(machine.properties, 'networkProfile.networkInterfaces');
  return {
    networkInterfaces: nics.map((nic, index) => {
      const given = objectAt(entries[index], 'properties');
      return { id: nic.id, properties: given ?? { primary: index === 0 } };
    }),
  };
}

function guestKind(machine: Resource, fromImage: boolean): string {
  if (!fromImage) return 'disk';
  const isAppliance = machine.tags['standby-role'] === 'appliance';
  const hasData = machine.hidden.customData !== undefined || machine.hidden.userData !== undefined;
  return isAppliance && hasData ? 'appliance' : 'image';
}

function keptProperties(properties: JsonObject): JsonObject {
  const names = [
    'diagnosticsProfile',
    'licenseType',
    'securityProfile',
    'additionalCapabilities',
    'priority',
    'evictionPolicy',
    'billingProfile',
  ];
  return Object.fromEntries(
    names.flatMap((name) => (properties[name] === undefined ? [] : [[name, properties[name]]])),
  );
}

function newMachine(context: ArmContext, put: Put): void {
  const { resource } = put;
  checkZones(resource.location ?? '', TYPES.machine, resource.name, listAt(resource.top, 'zones'));
  const size = requireSize(resource);
  const nics = requireNics(context, resource, size);
  checkMachineQuota(context, resource, size);
  const osDisk = newOsDisk(context, resource, size);
  const fromImage = osDisk.imageReference !== undefined;
  const profile = fromImage ? osProfile(put) : undefined;
  if (!fromImage) keepUserData(put, undefined);
  const dataDisks = nextDataDisks(context, resource, size, undefined);
  bindNics(context, resource, nics);
  resource.properties = {
    vmId: context.newGuid(),
    timeCreated: isoTime(context.clock.now()),
    hardwareProfile: { vmSize: size.name },
    storageProfile: {
      ...(osDisk.imageReference ? { imageReference: osDisk.imageReference } : {}),
      osDisk: osDisk.entry,
      dataDisks,
    },
    ...(profile ? { osProfile: profile } : {}),
    networkProfile: networkProfile(resource, nics),
    ...keptProperties(resource.properties),
  };
  resource.hidden.power = 'starting';
  resource.hidden.generation = osDisk.generation;
  resource.hidden.guest = guestKind(resource, fromImage);
}

function checkResize(context: ArmContext, existing: Resource, size: VmSize): void {
  checkGeneration(size, textAt(existing.hidden, 'generation') === 'V2' ? 'V2' : 'V1');
  const ids = [
    textAt(existing.properties, 'storageProfile.osDisk.managedDisk.id'),
    ...objectsAt(existing.properties, 'storageProfile.dataDisks').map((entry) =>
      textAt(entry, 'managedDisk.id'),
    ),
  ];
  for (const id of ids) {
    const disk = id === undefined ? undefined : context.graph.get(id);
    const sku = textAt(disk?.top, 'sku.name') ?? '';
    checkPremium(size, sku.startsWith('Premium'), disk?.name ?? '', sku);
  }
}

/** NICs can be exchanged only while the VM is deallocated. */
function changedNics(context: ArmContext, put: Put, existing: Resource, size: VmSize): JsonObject {
  const before = objectsAt(existing.properties, 'networkProfile.networkInterfaces').map((entry) =>
    textAt(entry, 'id'),
  );
  const wanted = objectsAt(put.resource.properties, 'networkProfile.networkInterfaces').map((entry) =>
    textAt(entry, 'id'),
  );
  const same =
    before.length === wanted.length && wanted.every((id) => before.some((other) => sameId(id, other)));
  if (same || wanted.length === 0) return objectAt(existing.properties, 'networkProfile') ?? {};
  if (textAt(existing.hidden, 'power') !== 'deallocated') {
    throw new ArmError(
      409,
      'OperationNotAllowed',
      `Network interfaces of VM '${existing.name}' can be added or removed only while it is deallocated.`,
      'networkProfile',
    );
  }
  const nics = requireNics(context, put.resource, size);
  for (const id of before) release(context, id ?? '', existing.id);
  bindNics(context, put.resource, nics);
  return networkProfile(put.resource, nics);
}

function changedMachine(context: ArmContext, put: Put, existing: Resource): void {
  const { resource } = put;
  if (
    resource.top.zones !== undefined &&
    JSON.stringify(resource.top.zones) !== JSON.stringify(existing.top.zones)
  ) {
    throw notChangeable('zones');
  }
  if (existing.top.zones !== undefined) resource.top.zones = existing.top.zones;
  const before = existing.properties;
  if (textAt(resource.properties, 'hardwareProfile.vmSize') === undefined) {
    resource.properties.hardwareProfile = before.hardwareProfile;
  }
  const size = requireSize(resource);
  if (size.name !== textAt(before, 'hardwareProfile.vmSize')) {
    checkResize(context, existing, size);
    checkMachineQuota(context, resource, size);
  }
  const storage = objectAt(resource.properties, 'storageProfile');
  const lists = storage?.dataDisks !== undefined;
  if (!lists) {
    resource.properties.storageProfile = {
      ...storage,
      dataDisks: listAt(before, 'storageProfile.dataDisks'),
    };
  }
  const osDisk = sameOsDisk(resource, existing);
  const dataDisks = nextDataDisks(context, resource, size, existing);
  keepUserData(put, undefined);
  const profile = objectAt(before, 'storageProfile') ?? {};
  resource.properties = {
    ...before,
    hardwareProfile: { vmSize: size.name },
    storageProfile: { ...profile, osDisk, dataDisks },
    networkProfile: changedNics(context, put, existing, size),
    ...keptProperties(resource.properties),
  };
}

/** Disks that the PUT itself made get their files; then the guest starts, or follows the changed disks. */
async function afterPut(context: ArmContext, machine: Resource): Promise<void> {
  const entries = [
    objectAt(machine.properties, 'storageProfile.osDisk') ?? {},
    ...objectsAt(machine.properties, 'storageProfile.dataDisks'),
  ];
  for (const entry of entries) {
    const disk = context.graph.get(textAt(entry, 'managedDisk.id') ?? '');
    if (disk && ['FromImage', 'Empty'].includes(textAt(entry, 'createOption') ?? '')) {
      await ensureDiskFile(context, disk);
    }
  }
  if (textAt(machine.hidden, 'power') === 'starting') {
    await startGuest(context, machine.id);
  } else {
    await context.guests.disksChanged(machine.id);
  }
  finishDetach(context, machine.id);
  await context.guests.networkChanged();
}

/** The VM lets go of what it held; what was marked `Delete` goes with it. */
async function afterDelete(context: ArmContext, machine: Resource): Promise<void> {
  await context.guests.forget(machine.id);
  const disks = [
    objectAt(machine.properties, 'storageProfile.osDisk') ?? {},
    ...objectsAt(machine.properties, 'storageProfile.dataDisks'),
  ].map((entry) => ({ id: textAt(entry, 'managedDisk.id') ?? '', option: textAt(entry, 'deleteOption') }));
  const nics = objectsAt(machine.properties, 'networkProfile.networkInterfaces').map((entry) => ({
    id: textAt(entry, 'id') ?? '',
    option: textAt(entry, 'properties.deleteOption'),
  }));
  for (const disk of disks.filter((candidate) => candidate.option === 'Delete')) {
    const resource = context.graph.get(disk.id);
    if (resource) await removeFileOf(context, resource);
  }
  context.graph.transaction(() => {
    for (const { id, option } of [...disks, ...nics]) {
      const held = context.graph.get(id);
      if (held === undefined || !sameId(textAt(held.hidden, 'machineId'), machine.id)) continue;
      if (option === 'Delete') context.graph.remove(id);
      else release(context, id, machine.id);
    }
  });
  await context.guests.networkChanged();
}

export const virtualMachines: Behaviour = {
  type: TYPES.machine,
  apiVersions: COMPUTE_VERSIONS,
  tracked: true,
  // What the guest may be called is narrower: see osProfile.
  namePattern: /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?$/,
  nameCode: 'InvalidParameter',
  putShape: ({ existing }) => (existing ? machineUpdate : machineCreate),
  patchShape: machineUpdate,
  deleteShape: machineAction,
  azureMs: {
    create: 17_000,
    update: 7000,
    delete: 60_000,
    start: 15_000,
    powerOff: 20_000,
    deallocate: 30_000,
    restart: 15_000,
    attachDetachDataDisks: 10_000,
  },
  beforePut(context, put) {
    if (put.existing) changedMachine(context, put, put.existing);
    else newMachine(context, put);
  },
  afterPut,
  afterDelete,
  present: presentMachine,
  actions: machineActions,
  reads: {
    instanceView: (context, resource) => ({ body: instanceView(context, resource) }),
    vmSizes: (_context, resource) => ({ list: sizeDocuments(resource.location ?? '') }),
  },
};

import { createHash } from 'node:crypto';
import { behaviours } from '../../../infra/local/behaviours/index.ts';
import { isKnownPublisher } from '../../../infra/local/behaviours/machine-images.ts';
import { findSize } from '../../../infra/local/sizes.ts';
import { typeOf } from './arm-path.ts';
import { isObject, type JsonObject, mapStrings, objectsAt, textAt } from './json.ts';
import { type Knowledge, type Reference, referencesIn, typeOfKey } from './knowledge.ts';

/**
 * Sets the stage: a recording starts in the middle of somebody's subscription, and much of what it works on was made
 * before it, or through what Local Azure does not have (deployments). What an interaction needs is put there first,
 * as the recording shows it, or as a plain stand-in of its type. None of this is compared.
 */
export interface Stage {
  /** Makes the group when it is not there. */
  group(name: string): Promise<void>;
  /** Makes what is missing among these, with all that they stand on. False: it could not be made. */
  resource(key: string, index: number): Promise<boolean>;
  /** Makes the resources of a deployment's template. */
  template(template: unknown, resourceGroup: string, index: number): Promise<void>;
}

export interface StageHand {
  /** The id that Local Azure knows it by. */
  idOf(key: string): string;
  exists(key: string): Promise<boolean>;
  /** PUTs and waits for the end; false when it is refused. */
  put(key: string, apiVersion: string, body: JsonObject): Promise<boolean>;
}

export function makeStage(hand: StageHand, knowledge: Knowledge): Stage {
  const groups = new Set<string>();
  const busy = new Set<string>();
  const stage: Stage = {
    async group(name) {
      if (groups.has(name) || name === '') return;
      groups.add(name);
      if (knowledge.groupsMade.has(name)) return;
      await hand.put(`resourcegroups/${name}`, '2025-04-01', { location: knowledge.locationOf(name) });
    },
    async resource(key, index) {
      const type = typeOf(typeOfKey(key));
      if (type === undefined || busy.has(key)) return false;
      if (await hand.exists(key)) return true;
      busy.add(key);
      try {
        await stage.group(key.split('/')[1] ?? '');
        const parent = key.split('/').length > 6 ? key.split('/').slice(0, 6).join('/') : undefined;
        if (parent !== undefined && !(await stage.resource(parent, index))) return false;
        if (await hand.exists(key)) return true;
        const shown = knowledge.bodyOf(key, index);
        if (shown !== undefined && (await make(key, type, shown, index))) return true;
        // A VM is more than its name: one that cannot be made as it was shown is not made at all.
        if (shown !== undefined && type === 'Microsoft.Compute/virtualMachines') return false;
        const plain = standIn(type, knowledge.locationOf(key.split('/')[1] ?? ''), key);
        return plain !== undefined && (await make(key, type, plain, index));
      } finally {
        busy.delete(key);
      }
    },
    async template(template, resourceGroup, index) {
      const left = objectsAt(template, 'resources');
      // Two rounds: what failed for want of another is tried again after it.
      for (const round of [0, 1, 2]) {
        for (const each of left) {
          const type = typeOf(textAt(each, 'type') ?? '');
          if (type === undefined || typeof each.name !== 'string') continue;
          const key = keyIn(resourceGroup, type, each.name);
          if (await hand.exists(key)) continue;
          const isReady = round === 2 || (await allThere(hand, each, key));
          if (isReady) await make(key, type, asShown(each, knowledge.bodyOf(key, index)), index);
        }
      }
    },
  };
  const make = async (key: string, type: string, body: JsonObject, index: number): Promise<boolean> => {
    const plain = writable(type, body, key);
    for (const reference of referencesIn(plain, key)) {
      if (typeOf(reference.type) !== undefined) await stage.resource(reference.key, index);
    }
    const newest = behaviours.find((each) => each.type === type)?.apiVersions[0] ?? '';
    return hand.put(key, newest, plain);
  };
  return stage;
}

/** Azure names the OS disk that a template leaves nameless; later requests go by that name. */
function asShown(wanted: JsonObject, shown: JsonObject | undefined): JsonObject {
  const name = textAt(shown, 'properties.storageProfile.osDisk.name');
  const properties = isObject(wanted.properties) ? wanted.properties : {};
  const storage = isObject(properties.storageProfile) ? properties.storageProfile : undefined;
  if (name === undefined || storage === undefined) return wanted;
  const osDisk = { ...(isObject(storage.osDisk) ? storage.osDisk : {}), name };
  const dataDisks = objectsAt(storage, 'dataDisks').map((disk) => {
    const same = objectsAt(shown, 'properties.storageProfile.dataDisks').find(
      (each) => each.lun === disk.lun,
    );
    return same === undefined ? disk : { ...disk, name: same.name };
  });
  return { ...wanted, properties: { ...properties, storageProfile: { ...storage, osDisk, dataDisks } } };
}

async function allThere(hand: StageHand, body: JsonObject, key: string): Promise<boolean> {
  for (const reference of referencesIn(body, key)) {
    if (typeOf(reference.type) !== undefined && !(await hand.exists(reference.key))) return false;
  }
  return true;
}

function keyIn(resourceGroup: string, type: string, name: string): string {
  const [namespace = '', ...types] = type.split('/');
  const names = name.split('/');
  const path = types.map((part, index) => `${part}/${names[index] ?? ''}`).join('/');
  return `resourcegroups/${resourceGroup}/providers/${namespace}/${path}`.toLowerCase();
}

/** The least of a type that can stand for one of which the recording shows nothing. */
function standIn(type: string, location: string, key: string): JsonObject | undefined {
  const [group = '', name = ''] = [key.split('/').slice(0, 2).join('/'), key.split('/').at(-1)];
  const idOf = (path: string) =>
    `/subscriptions/00000000-0000-0000-0000-000000000000/${group}/providers/${path}`;
  const plain: Readonly<Record<string, JsonObject>> = {
    'Microsoft.Compute/disks': { properties: { creationData: { createOption: 'Empty' }, diskSizeGB: 10 } },
    'Microsoft.Compute/snapshots': {
      properties: { creationData: { createOption: 'Empty' }, diskSizeGB: 10, incremental: true },
    },
    'Microsoft.Compute/virtualMachines': machineStandIn(idOf, name),
    'Microsoft.Network/virtualNetworks': {
      properties: { addressSpace: { addressPrefixes: ['10.0.0.0/16'] } },
    },
    'Microsoft.Network/virtualNetworks/subnets': { properties: { addressPrefix: prefixOf(key) } },
    'Microsoft.Network/networkSecurityGroups': { properties: {} },
    'Microsoft.Network/networkSecurityGroups/securityRules': { properties: RULE },
    'Microsoft.Network/networkInterfaces': {
      properties: {
        ipConfigurations: [
          {
            name: 'stand-in',
            properties: {
              subnet: { id: idOf('Microsoft.Network/virtualNetworks/stand-in/subnets/stand-in') },
            },
          },
        ],
      },
    },
    'Microsoft.Network/publicIPAddresses': {
      sku: { name: 'Standard' },
      properties: { publicIPAllocationMethod: 'Static' },
    },
    'Microsoft.Network/routeTables': { properties: {} },
    'Microsoft.Storage/storageAccounts': { sku: { name: 'Standard_LRS' }, kind: 'StorageV2', properties: {} },
  };
  const body = plain[type];
  return body === undefined ? undefined : { location, ...body };
}

const RULE: JsonObject = {
  ...{ protocol: 'Tcp', access: 'Allow', direction: 'Inbound', priority: 4000 },
  ...{ sourceAddressPrefix: '*', sourcePortRange: '*' },
  ...{ destinationAddressPrefix: '*', destinationPortRange: '443' },
};

/** Two stand-ins of one network must not overlap. */
function prefixOf(key: string): string {
  return `10.0.${createHash('sha256').update(key).digest()[0] ?? 0}.0/24`;
}

function machineStandIn(idOf: (path: string) => string, name: string): JsonObject {
  return {
    properties: {
      hardwareProfile: { vmSize: 'Standard_D16s_v5' },
      storageProfile: {
        imageReference: {
          publisher: 'Canonical',
          offer: 'UbuntuServer',
          sku: '18.04-LTS',
          version: 'latest',
        },
        osDisk: { createOption: 'FromImage' },
        dataDisks: [],
      },
      osProfile: { computerName: 'stand-in', adminUsername: 'stand-in' },
      networkProfile: {
        networkInterfaces: [{ id: idOf(`Microsoft.Network/networkInterfaces/stand-in-${name}`) }],
      },
      diagnosticsProfile: { bootDiagnostics: { enabled: true } },
    },
  };
}

const SHOWN_ONLY = [
  'id',
  'name',
  'type',
  'etag',
  'managedBy',
  'resources',
  'systemData',
  'dependsOn',
  'apiVersion',
];

/** What a client would have sent to get this: without what only Azure writes, and within what Local Azure has. */
export function writable(type: string, body: JsonObject, key: string): JsonObject {
  const top = Object.fromEntries(
    Object.entries(body).filter(([name, value]) => !SHOWN_ONLY.includes(name) && value !== null),
  );
  const plain = fitted(withoutNulls(withoutForeign(top, key))) as JsonObject;
  const properties: JsonObject = isObject(plain.properties) ? { ...plain.properties } : {};
  const all: JsonObject = { ...plain, properties };
  if (type === 'Microsoft.Compute/virtualMachines') return machineBody(all, properties);
  if (type === 'Microsoft.Compute/disks' || type === 'Microsoft.Compute/snapshots')
    return diskBody(all, properties);
  if (type === 'Microsoft.Network/networkSecurityGroups/securityRules')
    return { properties: ruleBody(properties) };
  if (type === 'Microsoft.Network/networkSecurityGroups') {
    const securityRules = objectsAt(properties, 'securityRules').map((rule) => ({
      name: rule.name,
      properties: ruleBody(isObject(rule.properties) ? rule.properties : {}),
    }));
    return { ...all, properties: { securityRules } };
  }
  if (type === 'Microsoft.Storage/storageAccounts') {
    return {
      ...all,
      sku: isObject(all.sku) ? { name: all.sku.name } : { name: 'Standard_LRS' },
      kind: all.kind ?? 'StorageV2',
    };
  }
  return all;
}

/** Bytes that the recording does not hold are empty ones. */
function diskBody(all: JsonObject, properties: JsonObject): JsonObject {
  const option = textAt(properties, 'creationData.createOption') ?? 'Empty';
  const { securityProfile: _profile, ...plain } = properties;
  if (/^(Copy|CopyStart|Empty|Upload)$/i.test(option)) return { ...all, properties };
  const empty = { creationData: { createOption: 'Empty' }, diskSizeGB: properties.diskSizeGB ?? 10 };
  return { ...all, properties: { ...plain, ...empty } };
}

/** A rule between application security groups, which Local Azure does not have, is one between all. */
function ruleBody(properties: JsonObject): JsonObject {
  const filled = { ...properties };
  for (const side of ['source', 'destination']) {
    const many = filled[`${side}AddressPrefixes`];
    const hasMany = Array.isArray(many) && many.length > 0;
    if (!hasMany && !filled[`${side}AddressPrefix`]) filled[`${side}AddressPrefix`] = '*';
  }
  return filled;
}

function machineBody(all: JsonObject, properties: JsonObject): JsonObject {
  const storage = isObject(properties.storageProfile) ? properties.storageProfile : {};
  const osDisk: JsonObject = isObject(storage.osDisk) ? { ...storage.osDisk } : {};
  delete osDisk.vhd;
  const option = String(osDisk.createOption ?? 'FromImage');
  if (option.toLowerCase() !== 'attach') {
    const sku = textAt(osDisk, 'managedDisk.storageAccountType');
    osDisk.managedDisk = sku === undefined ? {} : { storageAccountType: sku };
  }
  const dataDisks = objectsAt(storage, 'dataDisks').map((disk) => {
    if (String(disk.createOption).toLowerCase() === 'attach') return disk;
    const sku = textAt(disk, 'managedDisk.storageAccountType');
    const { vhd: _vhd, ...plain } = disk;
    return { ...plain, managedDisk: sku === undefined ? {} : { storageAccountType: sku } };
  });
  const profile = isObject(properties.osProfile) ? { ...properties.osProfile } : undefined;
  const keys = objectsAt(profile, 'linuxConfiguration.ssh.publicKeys');
  if (profile !== undefined && keys.length === 0) profile.adminPassword = 'Staged-password-1';
  const { osProfile: _profile, vmId: _id, instanceView: _view, ...rest } = properties;
  return {
    ...all,
    properties: {
      ...rest,
      ...(profile === undefined ? {} : { osProfile: profile }),
      storageProfile: { ...storage, osDisk, dataDisks },
    },
  };
}

/** References to types that Local Azure does not have fall away, with the object that is nothing but the reference. */
function withoutForeign(value: unknown, ownKey: string): unknown {
  const isForeign = (entry: unknown): boolean => {
    const id = isObject(entry) ? entry.id : entry;
    return (
      typeof id === 'string' && referencesIn([id], ownKey).some((each) => typeOf(each.type) === undefined)
    );
  };
  if (Array.isArray(value))
    return value.filter((entry) => !isForeign(entry)).map((entry) => withoutForeign(entry, ownKey));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => !isForeign(inner))
      .map(([name, inner]) => [name, withoutForeign(inner, ownKey)]),
  );
}

export function foreignReferences(body: unknown, ownKey: string): Reference[] {
  return referencesIn(body, ownKey).filter((each) => typeOf(each.type) === undefined);
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]) => (inner === null ? [] : [[name, withoutNulls(inner)]])),
  );
}

/** Sizes and images that are not in Local Azure's tables are mapped to common ones, as names and subscriptions are. */
export function fitted(value: unknown): unknown {
  const sized = mapStrings(value, (text, name) => (name === 'vmSize' ? fittingSize(text) : text));
  return withKnownImages(sized);
}

/** As many disks and NICs as any size may have, for one that is not known or cannot be had here. */
function fittingSize(name: string): string {
  const size = findSize(name, 'eastus');
  return size === undefined || size.restriction !== undefined ? 'Standard_D16s_v5' : name;
}

function withKnownImages(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withKnownImages);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      name === 'imageReference' && isObject(inner) ? knownImage(inner) : withKnownImages(inner),
    ]),
  );
}

function knownImage(image: JsonObject): JsonObject {
  const inId = /\/publishers\/([^/]+)\//i.exec(textAt(image, 'id') ?? '')?.[1];
  if (inId !== undefined && !isKnownPublisher(inId))
    return { ...image, id: String(image.id).replace(`/${inId}/`, '/Canonical/') };
  if (typeof image.publisher !== 'string' || isKnownPublisher(image.publisher)) return image;
  return { ...image, publisher: 'Canonical' };
}

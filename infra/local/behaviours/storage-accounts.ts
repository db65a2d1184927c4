import { randomBytes } from 'node:crypto';
import { isoTime } from '../../../src/clock.ts';
import { ArmError, notImplemented } from '../arm/arm-error.ts';
import type { ArmContext, Behaviour, ProviderRoute, Put, Resource } from '../arm/behaviour.ts';
import { type JsonObject, textAt } from '../arm/json.ts';
import { storagePut } from '../arm/operation-shape.ts';
import { keyOf } from '../arm/resource-id.ts';
import { STORAGE_VERSIONS } from './api-versions.ts';

/** Storage accounts: names, keys and endpoints are ours; the blobs themselves are served by Azurite. */
const TYPE = 'Microsoft.Storage/storageAccounts';
const NAME = /^[a-z0-9]{3,24}$/;
const KINDS = ['Storage', 'StorageV2', 'BlobStorage', 'FileStorage', 'BlockBlobStorage'];
const SKUS = [
  'Standard_LRS',
  'Standard_GRS',
  'Standard_RAGRS',
  'Standard_ZRS',
  'Standard_GZRS',
  'Standard_RAGZRS',
  'Premium_LRS',
  'Premium_ZRS',
];

export const storageAccounts: Behaviour = {
  type: TYPE,
  apiVersions: STORAGE_VERSIONS,
  tracked: true,
  // A name that breaks the rules gets Azure's own message in beforePut.
  namePattern: /^.+$/,
  azureMs: { create: 17_000, update: 500, delete: 1500 },
  putShape: (put) => (put.existing === undefined ? storagePut : undefined),
  beforePut(context, put) {
    checkName(context, put);
    const { resource, existing } = put;
    const sku = textAt(resource.top, 'sku.name') ?? textAt(existing?.top, 'sku.name');
    if (sku === undefined || !SKUS.includes(sku)) {
      throw new ArmError(
        400,
        'InvalidSkuName',
        `The value '${sku ?? ''}' of sku.name is not one of ${SKUS.join(', ')}.`,
        'sku.name',
      );
    }
    const kind = textAt(resource.top, 'kind') ?? textAt(existing?.top, 'kind');
    if (kind === undefined || !KINDS.includes(kind)) {
      throw new ArmError(
        400,
        'InvalidKind',
        `The value '${kind ?? ''}' of kind is not one of ${KINDS.join(', ')}.`,
        'kind',
      );
    }
    resource.top = { ...resource.top, kind, sku: { name: sku, tier: sku.split('_')[0] ?? 'Standard' } };
    resource.properties = { ...existing?.properties, ...resource.properties };
    resource.properties.creationTime = existing?.properties.creationTime ?? isoTime(context.clock.now());
    if (existing === undefined) resource.hidden = { keys: [newKey(), newKey()] };
  },
  async afterPut(context, resource) {
    await context.storage.serveAccount(resource.name, keysOf(resource.hidden));
  },
  async afterDelete(context, resource) {
    await context.storage.dropAccount(resource.name);
  },
  present(context, resource, shown) {
    const blob = `${context.storage.endpoint(resource.name)}/`;
    shown.properties = {
      ...resource.properties,
      provisioningState: resource.provisioningState === 'Updating' ? 'Succeeded' : resource.provisioningState,
      primaryEndpoints: { blob },
      primaryLocation: resource.location,
      statusOfPrimary: 'available',
    };
    return shown;
  },
  actions: {
    listKeys: { kind: 'now', answer: (_context, resource) => ({ body: shownKeys(resource) }) },
    regenerateKey: {
      kind: 'now',
      async answer(context, resource, request) {
        const name = textAt(request.body, 'keyName') ?? '';
        if (/^kerb[12]$/.test(name)) throw notImplemented('a Kerberos key of a storage account');
        const index = ['key1', 'key2'].indexOf(name);
        if (index < 0) {
          throw new ArmError(
            400,
            'InvalidValue',
            "The value of keyName must be 'key1' or 'key2'.",
            'keyName',
          );
        }
        const changed = context.graph.update(resource.id, (stored) => {
          stored.hidden = { keys: keysOf(stored.hidden).map((key, at) => (at === index ? newKey() : key)) };
        });
        await context.storage.serveAccount(resource.name, keysOf(changed.hidden));
        return { body: shownKeys(changed) };
      },
    },
  },
};

export const storageRoutes: readonly ProviderRoute[] = [
  {
    method: 'POST',
    path: 'Microsoft.Storage/checkNameAvailability',
    apiVersions: STORAGE_VERSIONS,
    action: 'Microsoft.Storage/checknameavailability/read',
    answer(context, request) {
      const name = textAt(request.body, 'name') ?? '';
      if (!NAME.test(name)) {
        return { body: { nameAvailable: false, reason: 'AccountNameInvalid', message: invalidName(name) } };
      }
      if (findByName(context, name) !== undefined) {
        return { body: { nameAvailable: false, reason: 'AlreadyExists', message: taken(name) } };
      }
      return { body: { nameAvailable: true } };
    },
  },
];

function shownKeys(account: Resource): JsonObject {
  return {
    keys: keysOf(account.hidden).map((value, index) => ({
      keyName: `key${index + 1}`,
      value,
      permissions: 'FULL',
      creationTime: textAt(account.properties, 'creationTime'),
    })),
  };
}

function newKey(): string {
  return randomBytes(64).toString('base64');
}

function keysOf(hidden: JsonObject): readonly [string, string] {
  const [first, second] = hidden.keys as readonly string[];
  if (first === undefined || second === undefined) throw new Error('A storage account without keys.');
  return [first, second];
}

function findByName(context: ArmContext, name: string) {
  return context.graph.list(TYPE).find((account) => account.name === name);
}

function checkName(context: ArmContext, put: Put): void {
  const { name, id } = put.resource;
  if (!NAME.test(name)) throw new ArmError(400, 'AccountNameInvalid', invalidName(name));
  const other = findByName(context, name);
  if (other !== undefined && keyOf(other.id) !== keyOf(id)) {
    throw new ArmError(409, 'StorageAccountAlreadyTaken', taken(name));
  }
}

function invalidName(name: string): string {
  return `${name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in length and use numbers and lower-case letters only.`;
}
function taken(name: string): string {
  return `The storage account named ${name} is already taken.`;
}

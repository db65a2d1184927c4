import { stat } from 'node:fs/promises';
import type { StorageAccount } from '@azure/arm-storage';
import type { ContainerClient } from '@azure/storage-blob';
import { StandbyError } from '../../../src/errors.ts';
import { carriesOurTag } from '../../../src/model/tags.ts';
import type { CloudBundles, Operation } from '../../../src/ports/cloud.ts';
import type { Azure } from '../azure.ts';
import { runOperation } from '../operation.ts';
import { notOurs } from '../ownership.ts';
import { blobServiceClient } from './blob-client.ts';

type PublishSpec = Parameters<CloudBundles['publish']>[0];

const CONTAINER = 'standby';

/**
 * Puts the engine's bundle where an appliance can fetch it. The blob is named by its digest, and a blob appears
 * whole or not at all: if we die while uploading, the next call uploads again; afterwards it finds it.
 */
export function makeBundles(azure: Azure): CloudBundles {
  const { calls } = azure;
  return {
    async publish(spec, operation) {
      const account = await ensureAccount(azure, spec, operation);
      const endpoint = account.primaryEndpoints?.blob;
      if (!endpoint) throw noBlobService(spec.accountName);
      const { generateBlobSASQueryParameters, BlobSASPermissions, SASProtocol, StorageSharedKeyCredential } =
        await import('@azure/storage-blob');
      const key = await readKey(azure, spec);
      const credential = new StorageSharedKeyCredential(spec.accountName, key);
      const service = await blobServiceClient(azure, endpoint, credential);
      const container = service.getContainerClient(CONTAINER);
      await calls.call(
        `The container ${CONTAINER} could not be made in ${spec.accountName}.`,
        () => container.createIfNotExists(),
        operation?.signal,
      );
      const blobName = `engine-${spec.sha256}.tar.gz`;
      await upload(azure, container, blobName, spec, operation);
      const signature = generateBlobSASQueryParameters(
        {
          containerName: CONTAINER,
          blobName,
          permissions: BlobSASPermissions.parse('r'),
          protocol: SASProtocol.Https,
          expiresOn: new Date(spec.expiresAtMs),
        },
        credential,
      );
      return { url: `${container.getBlobClient(blobName).url}?${signature}` };
    },
  };
}

async function upload(
  azure: Azure,
  container: ContainerClient,
  blobName: string,
  spec: PublishSpec,
  operation?: Operation,
): Promise<void> {
  const { calls } = azure;
  const blob = container.getBlockBlobClient(blobName);
  const { size } = await stat(spec.file);
  const there = await calls.find(`The blob ${blobName} could not be looked up.`, () => blob.getProperties());
  if (there?.contentLength === size && there.metadata?.sha256 === spec.sha256) return;
  await calls.call(
    'The engine’s bundle could not be uploaded.',
    () =>
      blob.uploadFile(spec.file, {
        blockSize: 8 * 1024 * 1024,
        concurrency: 4,
        metadata: { sha256: spec.sha256 },
        blobHTTPHeaders: { blobContentType: 'application/gzip' },
        ...(operation?.signal ? { abortSignal: operation.signal } : {}),
      }),
    operation?.signal,
  );
}

async function ensureAccount(
  azure: Azure,
  spec: PublishSpec,
  operation: Operation = {},
): Promise<StorageAccount> {
  const { calls, clients, endpoints } = azure;
  const client = await clients.storage();
  const { restorePoller } = await import('@azure/arm-storage');
  const found = await calls.find(`The storage account ${spec.accountName} could not be read.`, () =>
    client.storageAccounts.getProperties(spec.resourceGroup, spec.accountName),
  );
  if (found) refuseForeign(found, spec);
  if (found?.provisioningState === 'Succeeded') return found;
  if (!found && !operation.saved) await refuseTakenName(azure, spec.accountName);
  return runOperation(
    calls,
    endpoints.resourceManagerUrl,
    {
      what: `The storage account ${spec.accountName} could not be made.`,
      key: `storage/create/${spec.resourceGroup}/${spec.accountName}`,
      submit: () =>
        client.storageAccounts.create(spec.resourceGroup, spec.accountName, {
          location: spec.location,
          kind: 'StorageV2',
          sku: { name: 'Standard_LRS' },
          tags: { ...spec.tags },
          enableHttpsTrafficOnly: true,
          minimumTlsVersion: 'TLS1_2',
          allowBlobPublicAccess: false,
        }),
      restore: (state) => restorePoller(client, state, client.storageAccounts.create),
    },
    operation,
  );
}

/** One account serves every appliance of its resource group, so any scenario's tag will do; none will not. */
function refuseForeign(account: StorageAccount, spec: PublishSpec): void {
  const scenario = spec.tags['standby-scenario'];
  if (account.tags?.['standby-role'] || carriesOurTag(account.tags, scenario)) return;
  throw notOurs(
    `The storage account ${spec.accountName} exists already and is not ours.`,
    account.tags,
    scenario,
  );
}

async function refuseTakenName(azure: Azure, name: string): Promise<void> {
  const client = await azure.clients.storage();
  const answer = await azure.calls.call(`The name ${name} could not be checked.`, () =>
    client.storageAccounts.checkNameAvailability({ name, type: 'Microsoft.Storage/storageAccounts' }),
  );
  if (answer.nameAvailable !== false) return;
  throw new StandbyError({
    code: 'STORAGE_NAME_TAKEN',
    what: `The storage account ${name} could not be made.`,
    why: answer.message ?? 'The name is taken: storage account names are unique in all of Azure.',
    next: 'If it is an account of yours in another resource group, delete it; otherwise use another resource group.',
  });
}

async function readKey(azure: Azure, spec: PublishSpec): Promise<string> {
  const client = await azure.clients.storage();
  const { keys } = await azure.calls.call(`The keys of ${spec.accountName} could not be read.`, () =>
    client.storageAccounts.listKeys(spec.resourceGroup, spec.accountName),
  );
  const value = keys?.find((key) => key.value)?.value;
  if (value) return value;
  throw new StandbyError({
    code: 'STORAGE_KEYS_MISSING',
    what: `The storage account ${spec.accountName} gave no key.`,
    next: 'Allow storage account key access on it.',
  });
}

function noBlobService(name: string): StandbyError {
  return new StandbyError({
    code: 'STORAGE_WITHOUT_BLOBS',
    what: `The storage account ${name} has no blob service.`,
    next: 'Delete the account; it will be made again.',
  });
}

import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import {
  BlobSASPermissions,
  BlobServiceClient,
  newPipeline,
  type StoragePipelineOptions,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientsOf, openSubscription, refusal, type Subscription } from './local-subscription.ts';

let subscription: Subscription;
beforeAll(async () => {
  subscription = await openSubscription();
});
afterAll(() => subscription.remove());

const group = 'standby-rg';
const account = { location: 'japaneast', sku: { name: 'Standard_LRS' as const }, kind: 'StorageV2' as const };

async function blobsOf(name: string) {
  const made = await subscription.storage.storageAccounts.getProperties(group, name);
  const { keys } = await subscription.storage.storageAccounts.listKeys(group, name);
  const credential = new StorageSharedKeyCredential(name, keys?.[0]?.value ?? '');
  // The blob SDK does not name tlsOptions, but hands them on like the other SDKs.
  const options: StoragePipelineOptions & { tlsOptions: { ca: string } } = {
    tlsOptions: { ca: readFileSync(subscription.endpoint.caFile, 'utf8') },
    retryOptions: { maxTries: 1 },
  };
  return new BlobServiceClient(made.primaryEndpoints?.blob ?? '', newPipeline(credential, options));
}

function download(url: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asking = request(
      url,
      { ca: readFileSync(subscription.endpoint.caFile), agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    asking.once('error', reject);
    asking.end();
  });
}

describe('storage accounts', () => {
  it('hold names to the rules, everywhere in the cloud', async () => {
    const { storageAccounts } = subscription.storage;
    const check = (name: string) =>
      storageAccounts.checkNameAvailability({ name, type: 'Microsoft.Storage/storageAccounts' });
    expect(await check('Not-A-Name')).toMatchObject({ nameAvailable: false, reason: 'AccountNameInvalid' });
    expect(await check('standbyone')).toMatchObject({ nameAvailable: true });
    expect(await refusal(storageAccounts.create(group, 'ab', account))).toMatchObject({
      statusCode: 400,
      code: 'AccountNameInvalid',
    });
    await storageAccounts.create(group, 'standbyone', account);
    expect(await check('standbyone')).toMatchObject({ nameAvailable: false, reason: 'AlreadyExists' });
    await subscription.resources.resourceGroups.createOrUpdate('elsewhere', { location: 'japaneast' });
    expect(await refusal(storageAccounts.create('elsewhere', 'standbyone', account))).toMatchObject({
      statusCode: 409,
      code: 'StorageAccountAlreadyTaken',
    });
  });
  it('are made with 202 and a Location only, and known ones answer at once', async () => {
    const clients = clientsOf(subscription.endpoint);
    await clients.storage.storageAccounts.create(group, 'standbytwo', account);
    const first = clients.exchanges.find((each) => each.method === 'PUT');
    expect(first).toMatchObject({ status: 202, body: '' });
    expect(first?.headers.location).toContain('/asyncoperations/');
    expect(first?.headers['azure-asyncoperation']).toBeUndefined();
    const before = await clients.storage.storageAccounts.listKeys(group, 'standbytwo');
    await clients.storage.storageAccounts.create(group, 'standbytwo', account);
    expect(clients.exchanges.findLast((each) => each.method === 'PUT')?.status).toBe(200);
    expect(await clients.storage.storageAccounts.listKeys(group, 'standbytwo')).toEqual(before);
  });
  it('serve blobs over HTTPS, by key and by a read-only link that ends, also after a restart', async () => {
    await subscription.storage.storageAccounts.create(group, 'standbythree', account);
    const container = (await blobsOf('standbythree')).getContainerClient('bundles');
    await container.create();
    const blob = container.getBlockBlobClient('engine.tar.gz');
    await blob.upload('the bundle', 10);
    const link = await blob.generateSasUrl({
      permissions: BlobSASPermissions.parse('r'),
      expiresOn: new Date(Date.parse('2999-01-01')),
    });
    expect(link).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/standbythree\/bundles\/engine\.tar\.gz\?/);
    expect(await download(link)).toEqual({ status: 200, text: 'the bundle' });
    const ended = await blob.generateSasUrl({
      permissions: BlobSASPermissions.parse('r'),
      startsOn: new Date(Date.parse('2001-01-01')),
      expiresOn: new Date(Date.parse('2001-01-02')),
    });
    expect((await download(ended)).status).toBe(403);
    expect((await download(blob.url)).status).toBeGreaterThanOrEqual(400);
    await subscription.restart();
    expect(await download(link)).toEqual({ status: 200, text: 'the bundle' });
  });
  it('are refused by the blob service once deleted', async () => {
    const { storageAccounts } = subscription.storage;
    await storageAccounts.create(group, 'standbyfour', account);
    const blobs = await blobsOf('standbyfour');
    await blobs.createContainer('one');
    await storageAccounts.delete(group, 'standbyfour');
    expect(await refusal(blobs.createContainer('two'))).toMatchObject({ statusCode: expect.any(Number) });
    expect(await refusal(storageAccounts.listKeys(group, 'standbyfour'))).toMatchObject({ statusCode: 404 });
  });
});

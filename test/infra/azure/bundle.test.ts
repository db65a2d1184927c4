import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import { storageAccountName } from '../../../src/model/names.ts';
import { tagsOf } from '../../../src/model/tags.ts';
import type { Cloud } from '../../../src/ports/cloud.ts';
import { failureOf, GROUP, type LocalAccount, startLocalAccount } from './local-account.ts';

/** The engine's bundle through a storage account and a SAS, with the blob service Local Azure has (Azurite). */
let local: LocalAccount;
let cloud: Cloud;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'standby-publish-'));
  local = await startLocalAccount();
  cloud = await local.cloud();
});
afterAll(async () => {
  await local.stop();
  rmSync(folder, { recursive: true });
});

const location = 'japaneast';
const tags = tagsOf('appliance/app1', 'run-1', 'appliance');

function bundleFile(name: string, sizeBytes: number) {
  const bytes = randomBytes(sizeBytes);
  const file = join(folder, name);
  writeFileSync(file, bytes);
  return { file, bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}

function publish(facts: { file: string; sha256: string }, expiresInMs = 600_000, change = {}) {
  const accountName = storageAccountName(local.account.subscriptionId, GROUP);
  const expiresAtMs = systemClock.now() + expiresInMs;
  const { file, sha256 } = facts;
  return cloud.bundles.publish({
    resourceGroup: GROUP,
    location,
    accountName,
    file,
    sha256,
    expiresAtMs,
    tags,
    ...change,
  });
}

function download(url: string): Promise<{ status: number; bytes: Buffer }> {
  return new Promise((resolve, reject) => {
    get(url, { ca: local.caPem, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, bytes: Buffer.concat(parts) }));
    }).on('error', reject);
  });
}

describe('publishing the engine’s bundle', () => {
  it('gives an https URL that reads that one blob and nothing else, until it ends', async () => {
    const facts = bundleFile('first', 9 * 1024 * 1024 + 17);
    const { url } = await publish(facts);
    expect(url).toMatch(/^https:\/\/.*\/standby\/engine-[0-9a-f]{64}\.tar\.gz\?/);
    const parameters = new URL(url).searchParams;
    expect(parameters.get('sp')).toBe('r');
    expect(parameters.get('spr')).toBe('https');
    expect(parameters.get('sr')).toBe('b');
    const answer = await download(url);
    expect(answer.status).toBe(200);
    expect(answer.bytes.equals(facts.bytes)).toBe(true);
    const other = url.replace(facts.sha256, 'f'.repeat(64));
    expect((await download(other)).status).toBe(403);
    const ended = await publish(facts, -1000);
    expect((await download(ended.url)).status).toBe(403);
  });

  it('uploads a bundle once: the same digest is there already', async () => {
    const facts = bundleFile('second', 1000);
    await publish(facts);
    // The file changes behind our back: were it uploaded again, the blob would change too.
    writeFileSync(facts.file, randomBytes(1000));
    const { url } = await publish(facts);
    expect((await download(url)).bytes.equals(facts.bytes)).toBe(true);
    const puts = readFileSync(local.requestLogFile, 'utf8').match(
      /"method":"PUT","url":"[^"]*storageAccounts/gi,
    );
    expect(puts).toHaveLength(1);
  });

  it('serves several appliances of one group with one account', async () => {
    const facts = bundleFile('third', 500);
    const { url } = await publish(facts, 600_000, { tags: tagsOf('appliance/app2', 'run-2', 'appliance') });
    expect((await download(url)).bytes.equals(facts.bytes)).toBe(true);
  });

  it('says when the name belongs to somebody else', async () => {
    const facts = bundleFile('fourth', 10);
    await cloud.groups.ensure('other-rg', location);
    const taken = publish(facts, 600_000, { resourceGroup: 'other-rg' });
    expect((await failureOf(taken)).code).toBe('STORAGE_NAME_TAKEN');
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { targetOf } from './replay/arm-path.ts';
import { causeElsewhere, declinedBy, withKnownVersion } from './replay/outside.ts';
import { type Interaction, readRecordings } from './replay/recordings.ts';
import { reportOf } from './replay/report.ts';
import { replayAll } from './replay/theatre.ts';

const ROOT = 'https://management.azure.com/subscriptions/00000000-0000-0000-0000-000000000000';
const GROUP = `${ROOT}/resourceGroups/g`;

function interaction(
  method: string,
  url: string,
  status: number,
  more: Partial<Interaction> = {},
): Interaction {
  const plain = { requestHeaders: {}, requestBody: undefined, headers: {}, body: undefined };
  return { method, url: new URL(url), status, ...plain, ...more };
}
const refused = (status: number, code: string, message = '') =>
  causeElsewhere(interaction('PUT', GROUP, status, { body: { error: { code, message } } }));

describe('What a recorded answer owed to something else', () => {
  it.each([
    [429, 'TooManyRequests', ''],
    [503, 'ServerBusy', ''],
    [403, 'AuthorizationFailed', ''],
    [409, 'OperationNotAllowed', 'It results in exceeding approved Cores quota.'],
    [400, 'BadRequest', 'The subscription is not registered for feature X.'],
    [400, 'InUseSubnetCannotBeDeleted', `in use by ${GROUP}/providers/Microsoft.Network/loadBalancers/b`],
  ])('is not held against Local Azure: %i %s %s', (status, code, message) => {
    expect(refused(status, code, message)).toBeTypeOf('string');
  });

  it.each([
    [404, 'ResourceNotFound', "The Resource 'Microsoft.Compute/disks/d' was not found."],
    [409, 'OperationNotAllowed', 'Disk d is attached to VM m.'],
    [400, 'NicInUse', `is used by ${GROUP}/providers/Microsoft.Compute/virtualMachines/m`],
  ])('is compared where the request itself was refused: %i %s', (status, code, message) => {
    expect(refused(status, code, message)).toBeUndefined();
  });

  it('takes 501 for an answer only when it has a name', () => {
    const answer = (code: string) => ({
      status: 501,
      headers: {},
      body: {
        error: { code, message: 'Local Azure does not do this: a peering. What it does is in SPEC.md.' },
      },
    });
    expect(declinedBy(answer('NotImplemented'))).toBe('501 by name: a peering');
    expect(declinedBy(answer('Other'))).toBeUndefined();
    expect(declinedBy({ ...answer('NotImplemented'), status: 200 })).toBeUndefined();
  });

  it('maps an api-version that is not known, unless that is what was refused', () => {
    const path = (version: string) => `${GROUP}/providers/Microsoft.Compute/disks/d?api-version=${version}`;
    const sent = (version: string, code = '') => {
      const each = interaction('GET', path(version), 404, { body: { error: { code } } });
      return withKnownVersion(each, targetOf('GET', each.url)).split('=')[1];
    };
    expect(sent('2024-03-02')).toBe('2024-03-02');
    expect(sent('2031-01-01')).toMatch(/^20\d\d-\d\d-\d\d$/);
    expect(sent('2031-01-01')).not.toBe('2031-01-01');
    expect(sent('2031-01-01', 'NoRegisteredProviderFound')).toBe('2031-01-01');
  });
});

describe('A folder of recordings that nobody has seen', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'standby-recordings-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const request = (method: string, uri: string, body: unknown = null) => ({ method, uri, headers: {}, body });

  it('is read as JSON and as the recorders write it, and every part of it is in the sum', async () => {
    const disk = `${GROUP}/providers/Microsoft.Compute/disks/d?api-version=2024-03-02`;
    const body = {
      location: 'westus',
      properties: { creationData: { createOption: 'Empty' }, diskSizeGB: 4 },
    };
    const poll = `${ROOT}/providers/Microsoft.Compute/locations/westus/DiskOperations/1?api-version=2024-03-02`;
    const interactions = [
      {
        request: request('PUT', disk, body),
        response: {
          status: { code: 202, message: 'Accepted' },
          headers: { 'azure-asyncoperation': [poll], location: [`${poll}&monitor=true`] },
          body: {
            string: JSON.stringify({ name: 'd', ...body, properties: { provisioningState: 'Updating' } }),
          },
        },
      },
      // Azure would refuse it; this one does not.
      { request: request('DELETE', disk), response: { status: 200, headers: {}, body: null } },
      {
        request: request('GET', `${GROUP}/providers/Microsoft.Compute/virtual%ZZMachines/m?api-version=1`),
        response: { status: 404, headers: { location: 'REDACTED' }, body: null },
      },
      {
        request: request('GET', 'https://vault.azure.net/x'),
        response: { status: 200, headers: {}, body: '' },
      },
    ];
    writeFileSync(path.join(folder, 'one.json'), JSON.stringify({ interactions }));
    // JSON is YAML too.
    writeFileSync(
      path.join(folder, 'two.yaml'),
      JSON.stringify({ interactions: interactions.slice(0, 1), version: 1 }),
    );
    const recordings = readRecordings(folder);
    expect(recordings.map((each) => [each.name, each.interactions.length])).toEqual([
      ['one', 4],
      ['two', 1],
    ]);
    const report = reportOf(await replayAll(recordings));
    expect(report).toMatchObject({ interactions: 5, comparable: 3, agreed: 2 });
    expect(report.differences.map((each) => [each.recording, each.index, each.operation])).toEqual([
      ['one', 1, 'DELETE Microsoft.Compute/disks'],
    ]);
  }, 60_000);

  it('refuses a file that is no recording', () => {
    writeFileSync(path.join(folder, 'list.json'), '{"files":[]}');
    expect(() => readRecordings(folder)).toThrow("is not a recording: it has no list 'interactions'");
  });
});

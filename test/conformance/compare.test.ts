import { describe, expect, it } from 'vitest';
import { targetOf } from './replay/arm-path.ts';
import { compare } from './replay/compare.ts';
import type { Interaction } from './replay/recordings.ts';

const BASE = 'https://management.azure.com/subscriptions/00000000-0000-0000-0000-000000000000';
const POLL = `${BASE}/providers/Microsoft.Compute/locations/japaneast/DiskOperations/1?api-version=2024-03-02`;
const recorded: Interaction = {
  method: 'PUT',
  url: new URL(`${BASE}/resourceGroups/g/providers/Microsoft.Compute/disks/d?api-version=2024-03-02`),
  requestHeaders: {},
  requestBody: {},
  status: 202,
  headers: { 'azure-asyncoperation': POLL, location: `${POLL}&monitor=true` },
  body: { properties: { provisioningState: 'Updating' } },
};
const same = { status: 202, headers: recorded.headers, body: recorded.body };

describe('Comparing an answer with a recorded one', () => {
  it('finds nothing when they are alike, whatever host, ids and times they have', () => {
    const elsewhere = {
      'azure-asyncoperation': POLL.replace('/1?', '/2?'),
      location: `${POLL}&monitor=true&t=9`,
    };
    expect(compare(recorded, { ...same, headers: elsewhere }, false)).toEqual([]);
  });

  it.each([
    ['status', { ...same, status: 201 }],
    ['headers', { ...same, headers: { location: POLL } }],
    ['headers', { ...same, headers: { ...same.headers, location: POLL } }],
    ['provisioning state', { ...same, body: { properties: { provisioningState: 'Creating' } } }],
    ['error code', { ...same, body: { ...(same.body as object), error: { code: 'Conflict' } } }],
  ])('finds another %s', (aspect, answer) => {
    expect(compare(recorded, answer, false).map((each) => each.aspect)).toEqual([aspect]);
  });

  it('finds a poll without its times and one without its output', () => {
    const body = { startTime: 'a', endTime: 'b', status: 'Succeeded', name: 'n', properties: { output: {} } };
    const poll = { ...recorded, status: 200, body };
    const answer = (change: object) => ({ status: 200, headers: {}, body: { ...body, ...change } });
    expect(compare(poll, answer({ startTime: 'c' }), true)).toEqual([]);
    expect(compare(poll, answer({ endTime: undefined }), true)).toHaveLength(1);
    expect(compare(poll, answer({ properties: undefined }), true)).toHaveLength(1);
  });

  it('knows what a URL is about', () => {
    const of = (method: string, path: string) => targetOf(method, new URL(`${BASE}/${path}`));
    const group = 'resourceGroups/g/providers';
    expect(of('PUT', `${group}/microsoft.compute/DISKS/d`)).toMatchObject({
      operation: 'PUT Microsoft.Compute/disks',
      isSupported: true,
    });
    expect(of('GET', `${group}/Microsoft.Network/virtualNetworks/v/subnets`)).toMatchObject({
      operation: 'GET Microsoft.Network/virtualNetworks/subnets (list)',
      isSupported: true,
    });
    expect(of('POST', `${group}/Microsoft.Compute/virtualMachines/m/start`)).toMatchObject({
      operation: 'POST Microsoft.Compute/virtualMachines/start',
      isSupported: true,
    });
    expect(of('PUT', `${group}/Microsoft.Compute/virtualMachines/m/extensions/e`).isSupported).toBe(false);
    expect(of('GET', 'providers/Microsoft.Compute/locations/x/operations/7').pollId).toBe('7');
    expect(targetOf('GET', new URL('https://account.blob.core.windows.net/c')).isSupported).toBeUndefined();
  });
});

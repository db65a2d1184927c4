import { describe, expect, it } from 'vitest';
import { endpointsOf } from '../../../infra/azure/environments.ts';
import { mapError } from '../../../infra/azure/errors.ts';
import { sizeOf } from '../../../infra/azure/resources/catalogue.ts';

const WHAT = 'The VM x could not be made.';

describe('Azure’s errors in our words', () => {
  it('name the action and the scope a role must allow, also for a linked resource', () => {
    const plain = mapError(WHAT, new Error('x'), {
      status: 403,
      code: 'AuthorizationFailed',
      message:
        "The client 'a' with object id 'b' does not have authorization to perform action 'Microsoft.Compute/disks/write' over scope '/subscriptions/s' or the scope is invalid.",
    });
    expect(plain).toMatchObject({
      code: 'AuthorizationFailed',
      next: 'Give the application a role with the action Microsoft.Compute/disks/write on /subscriptions/s, then try again.',
    });
    const linked = mapError(WHAT, new Error('x'), {
      status: 403,
      code: 'LinkedAuthorizationFailed',
      message:
        "The client has permission to perform action 'A/write' on scope 'S'; however, it does not have permission to perform action(s) 'Microsoft.Network/virtualNetworks/subnets/join/action' on the linked scope(s) '/subnets/one' (respectively) or the linked scope(s) are invalid.",
    });
    expect(linked.next).toContain('Microsoft.Network/virtualNetworks/subnets/join/action on /subnets/one');
  });

  it('are kept when the SDK has lost them, and never carry a signature', () => {
    const mapped = mapError(WHAT, new Error('Pagination failed with unexpected statusCode 409'), {
      status: 409,
      code: 'SomeConflict',
      message: 'See https://x.example/op?api-version=1&s=SECRET1&h=SECRET2 and ?sv=1&sig=SECRET3.',
      requestId: 'r-1',
    });
    expect(mapped.code).toBe('SomeConflict');
    expect(mapped.why).toContain('request id: r-1');
    expect(JSON.stringify(mapped)).not.toMatch(/SECRET\d/);
  });

  it('say quota, subscription and trouble of Azure’s own as what they are', () => {
    const code = (status: number, azure: string, message = '') =>
      mapError(WHAT, new Error('x'), { status, code: azure, message });
    const quota = 'Operation could not be completed as it results in exceeding approved Cores quota.';
    expect(code(409, 'OperationNotAllowed', quota).code).toBe('QuotaExceeded');
    expect(code(409, 'OperationNotAllowed', 'The disk is in use.').code).toBe('OperationNotAllowed');
    expect(code(404, 'SubscriptionNotFound').code).toBe('SUBSCRIPTION_NOT_VISIBLE');
    expect(code(500, 'InternalServerError').retry).toBe('later');
    expect(code(409, 'ScopeLocked').retry).toBe('never');
    expect(mapError(WHAT, new Error('<html>'), { status: 503 })).toMatchObject({
      code: 'HTTP_503',
      retry: 'later',
    });
  });
});

describe('clouds', () => {
  it('have their own addresses, all of them https', () => {
    for (const environment of ['public', 'us-government', 'china'] as const) {
      const endpoints = endpointsOf({ environment });
      expect(endpoints.resourceManagerUrl).toMatch(/^https:\/\/management\./);
      expect(endpoints.authorityUrl).toMatch(/^https:\/\/login\./);
      expect(endpoints.scope).toBe(`${endpoints.resourceManagerUrl}/.default`);
      expect(endpoints.listedByMicrosoft).toBe(true);
    }
    expect(() => endpointsOf({ environment: 'custom' })).toThrow(/names no cloud/);
  });
});

describe('a VM size', () => {
  const sku = (restrictions: object[], capabilities: { name: string; value: string }[] = []) => ({
    name: 'Standard_D2s_v5',
    family: 'standardDSv5Family',
    locationInfo: [{ location: 'JapanEast', zones: ['3', '1', '2'] }],
    capabilities: [
      { name: 'vCPUs', value: '2' },
      { name: 'MemoryGB', value: '8' },
      { name: 'MaxDataDiskCount', value: '4' },
      { name: 'HyperVGenerations', value: 'V1,V2' },
      { name: 'PremiumIO', value: 'True' },
      ...capabilities,
    ],
    restrictions,
  });

  it('shows what is restricted in the whole region and what in some zones only', () => {
    const zones = { type: 'Zone', values: ['japaneast'], restrictionInfo: { zones: ['2'] } };
    expect(sizeOf(sku([zones]), 'japaneast')).toMatchObject({
      vCpus: 2,
      memoryGib: 8,
      generations: ['V1', 'V2'],
      premiumDisks: true,
      zones: ['1', '3'],
      restrictedZones: ['2'],
    });
    expect(sizeOf(sku([zones]), 'japaneast').restricted).toBeUndefined();
    const region = { type: 'Location', values: ['japaneast'], reasonCode: 'NotAvailableForSubscription' };
    expect(sizeOf(sku([region]), 'japaneast').restricted).toContain('not available for this subscription');
    const arm = [{ name: 'CpuArchitectureType', value: 'Arm64' }];
    expect(sizeOf(sku([], arm), 'japaneast').restricted).toContain('Arm64');
  });
});

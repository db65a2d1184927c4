import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Cloud } from '../../src/ports/cloud.ts';
import { azureDns } from '../../src/redirect/azure-dns.ts';
import { type LocalAccount, startLocalAccount } from '../infra/azure/local-account.ts';

/** Records of Azure DNS and Azure Private DNS, with the unchanged SDK against Local Azure. */
let local: LocalAccount;
let cloud: Cloud;

beforeAll(async () => {
  local = await startLocalAccount();
  cloud = await local.cloud();
});
afterAll(() => local?.stop());

describe.each(['dnsZones', 'privateDnsZones'])('A record in %s', (type) => {
  const zone = 'example.test';
  const zoneId = () => local.id(`Microsoft.Network/${type}`, zone);
  const record = (name: string) => azureDns({ zoneId: zoneId(), zone, name }, cloud.dns);
  const old = { addresses: ['192.0.2.10', '192.0.2.9'], ttlSeconds: 300 };
  const wanted = { addresses: ['20.0.0.4'], ttlSeconds: 60 };

  beforeAll(async () => {
    await expect(record('www.example.test').rehearse()).rejects.toMatchObject({ code: 'DNS_ZONE_MISSING' });
    await local.putZone(zoneId());
    await cloud.dns.setARecord(zoneId(), 'www', old, undefined);
  });

  it('is read, rehearsed without a change, changed and put back', async () => {
    const www = record('WWW.example.test.');
    const sorted = { addresses: ['192.0.2.10', '192.0.2.9'], ttlSeconds: 300 };
    expect(await www.current()).toEqual(sorted);
    await www.rehearse();
    expect(await www.current()).toEqual(sorted);
    await www.change(sorted, wanted);
    await www.change(sorted, wanted);
    expect(await www.current()).toEqual(wanted);
    await www.change(wanted, sorted);
    expect(await www.current()).toEqual(sorted);
  });

  it('that is not there is made, and taken away again on the way home', async () => {
    const made = record(type === 'dnsZones' ? 'example.test' : 'new.example.test');
    await made.rehearse();
    expect(await made.current()).toEqual({ addresses: [], ttlSeconds: 0 });
    await made.change({ addresses: [], ttlSeconds: 0 }, wanted);
    expect(await made.current()).toEqual(wanted);
    await made.change(wanted, { addresses: [], ttlSeconds: 0 });
    expect(await made.current()).toEqual({ addresses: [], ttlSeconds: 0 });
  });

  it('that somebody else has changed is left alone, also between our look and our change', async () => {
    const www = record('www.example.test');
    await expect(www.change(wanted, { addresses: ['20.0.0.5'], ttlSeconds: 60 })).rejects.toMatchObject({
      code: 'DNS_RECORD_CHANGED',
    });
    const changing: Cloud['dns'] = {
      ...cloud.dns,
      async aRecord(id, name) {
        const seen = await cloud.dns.aRecord(id, name);
        await cloud.dns.setARecord(id, name, { addresses: ['198.51.100.1'], ttlSeconds: 10 }, seen?.etag);
        return seen;
      },
    };
    const raced = azureDns({ zoneId: zoneId(), zone, name: 'www.example.test' }, changing);
    await expect(raced.change(await www.current(), wanted)).rejects.toMatchObject({
      code: 'DNS_RECORD_CHANGED',
      retry: 'later',
    });
    expect((await www.current()).addresses).toEqual(['198.51.100.1']);
  });

  it('is refused by Azure with a wrong address or TTL', async () => {
    const wrong = [
      { addresses: ['not-an-address'], ttlSeconds: 60 },
      { addresses: ['192.0.2.1'], ttlSeconds: 0 },
      { addresses: ['192.0.2.1', '192.0.2.1'], ttlSeconds: 60 },
    ];
    for (const record of wrong)
      await expect(cloud.dns.setARecord(zoneId(), 'bad', record, undefined)).rejects.toMatchObject({
        code: 'BadRequest',
      });
  });
});

import type { ResourceManagementClient } from '@azure/arm-resources';
import type { CloudDns } from '../../../src/ports/cloud.ts';
import type { Azure } from '../azure.ts';

/**
 * A records in Azure DNS and Azure Private DNS, through the generic resource calls: there is no client of its own among
 * our packages, and the type needs none. The etag goes along with each change, so nobody's change is written over.
 */
interface RecordSet {
  readonly etag?: string;
  readonly properties?: Readonly<Record<string, unknown>>;
}

type Options = NonNullable<Parameters<ResourceManagementClient['resources']['getById']>[2]>;

export function makeDns(azure: Azure): CloudDns {
  const { calls, clients } = azure;
  const what = (zoneId: string, name: string, how: string) =>
    `The A record ${name} of the zone ${zoneId.split('/').at(-1)} could not be ${how}.`;

  return {
    async hasZone(zoneId) {
      const client = await clients.resources();
      const found = await calls.find(`The DNS zone ${zoneId} could not be read.`, () =>
        client.resources.getById(zoneId, versionOf(zoneId)),
      );
      return found !== undefined;
    },
    async aRecord(zoneId, name) {
      const client = await clients.resources();
      const found = await calls.find(what(zoneId, name, 'read'), async () => {
        // The client's own picture of a resource leaves its etag out.
        let text = '';
        const onResponse: Options['onResponse'] = (raw) => {
          text = raw.bodyAsText ?? '';
        };
        await client.resources.getById(recordId(zoneId, name), versionOf(zoneId), { onResponse });
        return JSON.parse(text) as RecordSet;
      });
      return found && recordOf(found);
    },
    async setARecord(zoneId, name, wanted, etag) {
      const client = await clients.resources();
      const { ttl, records } = spellingOf(zoneId);
      const addresses = wanted.addresses.map((ipv4Address) => ({ ipv4Address }));
      const properties = { [ttl]: wanted.ttlSeconds, [records]: addresses };
      const condition: Record<string, string> =
        etag === undefined ? { 'If-None-Match': '*' } : { 'If-Match': etag };
      await calls.call(what(zoneId, name, 'changed'), () =>
        client.resources
          .createOrUpdateById(
            recordId(zoneId, name),
            versionOf(zoneId),
            { properties },
            { requestOptions: { headers: condition } },
          )
          .pollUntilDone(),
      );
    },
    async removeARecord(zoneId, name, etag) {
      const client = await clients.resources();
      await calls.call(what(zoneId, name, 'removed'), () =>
        client.resources
          .deleteById(recordId(zoneId, name), versionOf(zoneId), {
            requestOptions: { headers: { 'If-Match': etag } },
          })
          .pollUntilDone(),
      );
    },
  };
}

function isPrivate(zoneId: string): boolean {
  return /\/privateDnsZones\//i.test(zoneId);
}

function versionOf(zoneId: string): string {
  return isPrivate(zoneId) ? '2020-06-01' : '2018-05-01';
}

function spellingOf(zoneId: string): { readonly ttl: string; readonly records: string } {
  return isPrivate(zoneId) ? { ttl: 'ttl', records: 'aRecords' } : { ttl: 'TTL', records: 'ARecords' };
}

function recordId(zoneId: string, name: string): string {
  return `${zoneId}/A/${name}`;
}

function recordOf({ etag, properties = {} }: RecordSet) {
  const field = (name: string): unknown =>
    Object.entries(properties).find(([key]) => key.toLowerCase() === name)?.[1];
  const records = field('arecords');
  const addresses = Array.isArray(records)
    ? records.map((one: { readonly ipv4Address?: string }) => one.ipv4Address ?? '')
    : [];
  return { addresses: addresses.toSorted(), ttlSeconds: Number(field('ttl') ?? 0), etag: etag ?? '' };
}

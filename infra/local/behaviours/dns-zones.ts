import { ArmError } from '../arm/arm-error.ts';
import type { ArmContext, Behaviour, Put, Resource } from '../arm/behaviour.ts';
import { type JsonObject, numberAt, objectsAt, textAt } from '../arm/json.ts';
import { parseAddress } from '../network/addresses.ts';

/**
 * Azure DNS and Azure Private DNS, as far as an A record goes: zones, and record sets of type A in them. Zones lie in no
 * region (`global`). Nothing here answers a DNS query.
 */
const DNS_VERSIONS = ['2018-05-01', '2017-10-01'];
const PRIVATE_DNS_VERSIONS = ['2024-06-01', '2020-06-01', '2018-09-01'];
const ZONE_NAME = /^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{2,63}$/i;
const RECORD_NAME =
  /^(@|\*|(\*\.)?[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*)$/i;
const RECORDS_MAX = 20;
const TTL_MAX = 2 ** 31 - 1;

/** The two providers spell the same fields differently. */
interface Spelling {
  readonly ttl: string;
  readonly records: string;
}
const PUBLIC: Spelling = { ttl: 'TTL', records: 'ARecords' };
const PRIVATE: Spelling = { ttl: 'ttl', records: 'aRecords' };

function badRequest(message: string): ArmError {
  return new ArmError(400, 'BadRequest', message);
}

/** Clients write the fields in either way. */
function fieldOf(properties: JsonObject, name: string): string | undefined {
  return Object.keys(properties).find((one) => one.toLowerCase() === name.toLowerCase());
}

function completeRecord({ resource, parent }: Put, spelling: Spelling): void {
  const { properties } = resource;
  const ttl = numberAt(properties, fieldOf(properties, 'ttl') ?? '');
  const addresses = objectsAt(properties, fieldOf(properties, 'aRecords') ?? '').map(
    (one) => textAt(one, 'ipv4Address') ?? '',
  );
  if (ttl === undefined || !Number.isInteger(ttl) || ttl < 1 || ttl > TTL_MAX) {
    throw badRequest(`The TTL of the record set must be between 1 and ${TTL_MAX}.`);
  }
  const wrong = addresses.find((one) => !/^[\d.]+$/.test(one) || parseAddress(one) === undefined);
  if (wrong !== undefined) throw badRequest(`The value '${wrong}' is not a valid IPv4 address.`);
  if (addresses.length > RECORDS_MAX || new Set(addresses).size < addresses.length) {
    throw badRequest(`A record set has at most ${RECORDS_MAX} records, and each only once.`);
  }
  const zone = parent?.name ?? '';
  resource.properties = {
    ...(properties.metadata === undefined ? {} : { metadata: properties.metadata }),
    [spelling.ttl]: ttl,
    fqdn: `${resource.name === '@' ? '' : `${resource.name}.`}${zone}.`,
    ...(spelling === PUBLIC ? { targetResource: {} } : { isAutoRegistered: false }),
    [spelling.records]: addresses.map((ipv4Address) => ({ ipv4Address })),
  };
}

function recordsIn(context: ArmContext, zone: Resource, type: string): number {
  return context.graph.childrenOf(zone.id, type).length;
}

function zone(type: string, apiVersions: readonly string[], facts: JsonObject): Behaviour {
  return {
    type,
    apiVersions,
    tracked: true,
    global: true,
    namePattern: ZONE_NAME,
    azureMs: { create: 2000, update: 1000, delete: 5000 },
    beforePut(_context, { resource }) {
      resource.properties = {};
    },
    present(context, resource, shown) {
      // NS and SOA are there from the start, though nothing here shows them.
      const numberOfRecordSets = 2 + recordsIn(context, resource, `${type}/A`);
      return { ...shown, properties: { ...facts, numberOfRecordSets, provisioningState: 'Succeeded' } };
    },
  };
}

function aRecords(type: string, apiVersions: readonly string[], spelling: Spelling): Behaviour {
  return {
    type,
    apiVersions,
    tracked: false,
    namePattern: RECORD_NAME,
    azureMs: { create: 500, update: 500, delete: 500 },
    beforePut: (_context, put) => completeRecord(put, spelling),
  };
}

const servers = [1, 2, 3, 4].map(
  (number) => `ns${number}-01.azure-dns.${['com', 'net', 'org', 'info'][number - 1]}.`,
);

export const dnsZones = zone('Microsoft.Network/dnsZones', DNS_VERSIONS, {
  maxNumberOfRecordSets: 10_000,
  nameServers: servers,
  zoneType: 'Public',
});
export const dnsARecords = aRecords('Microsoft.Network/dnsZones/A', DNS_VERSIONS, PUBLIC);
export const privateDnsZones = zone('Microsoft.Network/privateDnsZones', PRIVATE_DNS_VERSIONS, {
  maxNumberOfRecordSets: 25_000,
});
export const privateDnsARecords = aRecords(
  'Microsoft.Network/privateDnsZones/A',
  PRIVATE_DNS_VERSIONS,
  PRIVATE,
);

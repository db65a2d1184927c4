import { isStandbyError, StandbyError } from '../errors.ts';
import type { CloudDns } from '../ports/cloud.ts';
import { type RecordState, type Redirect, recordChanged } from './redirect.ts';

/**
 * Redirects clients by an A record in Azure DNS or Azure Private DNS. Promises: the record changes only if it still is
 * what it was when it was looked at (its etag goes along). Dies at any line: it is the old or the new one, and `current`
 * says which.
 */
export interface AzureDnsSettings {
  readonly zoneId: string;
  readonly zone: string;
  /** In full, inside the zone. */
  readonly name: string;
}

export function azureDns({ zoneId, zone, name }: AzureDnsSettings, dns: CloudDns): Redirect {
  const relative = relativeName(name, zone);
  const write = async (record: Promise<void>, expected: readonly string[]): Promise<void> => {
    try {
      await record;
    } catch (error) {
      if (!isStandbyError(error) || error.code !== 'PreconditionFailed') throw error;
      throw recordChanged(name, expected, 'Azure says that it was changed meanwhile');
    }
  };
  const set = (to: RecordState, etag: string | undefined) =>
    to.addresses.length === 0 && etag !== undefined
      ? dns.removeARecord(zoneId, relative, etag)
      : dns.setARecord(zoneId, relative, to, etag);
  return {
    title: `A record ${name} in Azure's zone ${zone}`,
    async current() {
      const { addresses, ttlSeconds } = (await dns.aRecord(zoneId, relative)) ?? NONE;
      return { addresses, ttlSeconds };
    },
    async rehearse() {
      if (!(await dns.hasZone(zoneId))) throw zoneMissing(zone, zoneId);
      const record = await dns.aRecord(zoneId, relative);
      // Replaced by itself: only a real write shows whether one would be taken. One that is not there is not made.
      if (record) await write(set(record, record.etag), record.addresses);
    },
    async change(from, to) {
      const record = await dns.aRecord(zoneId, relative);
      const now = record?.addresses ?? [];
      if (isSame(now, to.addresses)) return;
      if (!isSame(now, from.addresses)) throw recordChanged(name, from.addresses, `it is ${now.join(', ')}`);
      await write(set(to, record?.etag), from.addresses);
    },
  };
}

const NONE: RecordState = { addresses: [], ttlSeconds: 0 };

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.toSorted().join() === b.toSorted().join();
}

/** `www` of `www.example.com` in `example.com`; `@` for the zone itself. */
function relativeName(name: string, zone: string): string {
  const [full, suffix] = [name, zone].map((one) => one.replace(/\.$/, '').toLowerCase());
  if (full === suffix) return '@';
  return full?.endsWith(`.${suffix}`) ? full.slice(0, -(suffix?.length ?? 0) - 1) : (full ?? name);
}

function zoneMissing(zone: string, zoneId: string): StandbyError {
  return new StandbyError({
    code: 'DNS_ZONE_MISSING',
    what: `There is no DNS zone ${zone} in this subscription.`,
    why: `It was looked for as ${zoneId}.`,
    next: 'Check the zone, its resource group, and whether it is a private zone.',
  });
}

import { randomInt } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import type { Clock } from '../clock.ts';
import { StandbyError } from '../errors.ts';
import { type DnsServer, exchange, unreachable } from './dns-exchange.ts';
import { type ARecordUpdate, encodeUpdate, readHead } from './dns-message.ts';
import { type RecordState, type Redirect, recordChanged } from './redirect.ts';
import { sign, type TsigKey, verify } from './tsig.ts';

/**
 * Redirects clients by a dynamic update of one A record (RFC 2136), signed with a shared key (TSIG).
 * Promises: the record changes only if it still is what it was when it was looked at, as a whole, in one message; an
 * answer that is not signed with our key is not believed. Dies at any line: the record is the old or the new one, and
 * `current` says which.
 */
export interface DnsUpdateSettings {
  readonly server: DnsServer;
  readonly zone: string;
  readonly name: string;
  readonly key: TsigKey;
}

/** Answers of RFC 2136 in words. */
const CODES: Readonly<Record<number, string>> = {
  1: 'FORMERR: it did not understand the update',
  2: 'SERVFAIL: it failed on its own side',
  3: 'NXDOMAIN: the name does not exist',
  4: 'NOTIMP: it knows no dynamic updates',
  5: 'REFUSED: its rules do not let this key change this record',
  6: 'YXDOMAIN: the name exists and should not',
  7: 'YXRRSET: a record exists that should not',
  8: 'NXRRSET: the record is not what it was',
  9: 'NOTAUTH: it is not the master of the zone, or does not know the key',
  10: 'NOTZONE: the name is not inside the zone',
};
const RECORD_CHANGED = new Set([3, 6, 7, 8]);
const TSIG_ERRORS: Readonly<Record<number, string>> = {
  16: 'BADSIG: the secret is not the one the server has',
  17: 'BADKEY: the server does not know a key of this name and algorithm',
  18: 'BADTIME: the clocks of this machine and of the server differ by more than five minutes',
};

export function dnsUpdate(settings: DnsUpdateSettings, clock: Clock): Redirect {
  const { name, server } = settings;
  return {
    title: `A record ${name} at ${server.host}:${server.port}`,
    current: () => lookUp(settings),
    async rehearse() {
      // The record is replaced by itself: only a real update shows whether the server would take one.
      const now = await lookUp(settings);
      await send(settings, clock, { expected: now.addresses, wanted: now });
    },
    async change(from, to) {
      const now = await lookUp(settings);
      if (isSame(now, to)) return;
      await send(settings, clock, {
        expected: from.addresses,
        wanted: { addresses: to.addresses, ttlSeconds: to.ttlSeconds },
      });
    },
  };
}

async function lookUp({ server, name }: DnsUpdateSettings): Promise<RecordState> {
  const resolver = new Resolver({ timeout: server.timeoutMs, tries: 2 });
  resolver.setServers([
    server.host.includes(':') ? `[${server.host}]:${server.port}` : `${server.host}:${server.port}`,
  ]);
  try {
    const found = await resolver.resolve4(name, { ttl: true });
    return {
      addresses: found.map(({ address }) => address).toSorted(),
      ttlSeconds: Math.min(...found.map(({ ttl }) => ttl)),
    };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENODATA' || code === 'ENOTFOUND') return { addresses: [], ttlSeconds: 0 };
    throw unreachable(
      server,
      `The record ${name} cannot be looked up: ${code ?? 'no reason was given'}.`,
      error,
    );
  } finally {
    resolver.cancel();
  }
}

async function send(
  { server, zone, name, key }: DnsUpdateSettings,
  clock: Clock,
  update: Pick<ARecordUpdate, 'expected' | 'wanted'>,
): Promise<void> {
  const message = encodeUpdate({ id: randomInt(65_536), zone, name, ...update });
  const signed = sign(message, key, clock.now());
  const answer = await exchange(server, signed.message);
  const verdict = verify(answer, key, signed.mac, clock.now());
  const code = readHead(answer)?.code ?? 0;
  if (verdict.kind === 'refused')
    throw refused(name, TSIG_ERRORS[verdict.error] ?? `TSIG error ${verdict.error}`);
  if (verdict.kind !== 'good') {
    // A server that refuses before it looks at the key need not sign that; a success it must.
    if (verdict.kind === 'unsigned' && code !== 0) throw refused(name, CODES[code] ?? `code ${code}`);
    throw notBelieved(server, verdict.kind);
  }
  if (RECORD_CHANGED.has(code))
    throw recordChanged(name, update.expected, `the server says ${CODES[code] ?? `code ${code}`}`);
  if (code !== 0) throw refused(name, CODES[code] ?? `code ${code}`);
}

function isSame(a: RecordState, b: RecordState): boolean {
  return a.addresses.length === b.addresses.length && b.addresses.every((one) => a.addresses.includes(one));
}

function refused(name: string, words: string): StandbyError {
  return new StandbyError({
    code: 'DNS_REFUSED',
    what: `The DNS server refused to change ${name}.`,
    why: `${words}.`,
    next: 'Check the zone, the key (name, algorithm, secret) and what the server allows it to update.',
  });
}

function notBelieved(server: DnsServer, kind: string): StandbyError {
  return new StandbyError({
    code: 'DNS_NOT_BELIEVED',
    what: `The answer of ${server.host}:${server.port} is ${kind}, so it is not believed.`,
    why: 'Somebody between here and the server may have made it; what the record is now is not known.',
    next: 'Look the record up, and check that this is the server that has the key.',
  });
}

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { type DnsUpdateSettings, dnsUpdate } from '../../src/redirect/dns-update.ts';
import type { RecordState } from '../../src/redirect/redirect.ts';
import { type Bind, startBind } from './bind-server.ts';

let bind: Bind;
beforeAll(async () => {
  bind = await startBind();
});
afterAll(async () => {
  await bind.stop();
});

function redirectOf(more: Partial<DnsUpdateSettings> = {}, clock = systemClock) {
  return dnsUpdate(
    {
      server: { host: '127.0.0.1', port: bind.port, timeoutMs: 3000 },
      zone: 'example.test',
      name: 'www.example.test',
      key: { name: 'redirect.example', algorithm: 'hmac-sha256', secret: bind.secret },
      ...more,
    },
    clock,
  );
}

const at = (...addresses: string[]): RecordState => ({ addresses, ttlSeconds: 30 });
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'no error',
    (error: { code?: string; message: string }) => `${error.code}: ${error.message}`,
  );

describe('A redirect by dynamic DNS update, against BIND', () => {
  it('changes the record and its time to live, changes nothing twice, and brings the old value back', async () => {
    const redirect = redirectOf();
    const before = await redirect.current();
    expect(before).toEqual({ addresses: ['192.0.2.10'], ttlSeconds: 300 });
    await redirect.rehearse();
    expect(await redirect.current()).toEqual(before);
    await redirect.change(before, at('203.0.113.7'));
    expect(await redirect.current()).toEqual(at('203.0.113.7'));
    await redirect.change(before, at('203.0.113.7'));
    await redirect.change(at('203.0.113.7'), before);
    expect(await redirect.current()).toEqual(before);
  });

  it('makes a record that was not there, and takes it away again', async () => {
    const redirect = redirectOf({ name: 'new.example.test' });
    expect(await redirect.current()).toEqual({ addresses: [], ttlSeconds: 0 });
    await redirect.change(at(), at('203.0.113.8'));
    expect(await redirect.current()).toEqual(at('203.0.113.8'));
    await redirect.change(at('203.0.113.8'), at());
    expect((await redirect.current()).addresses).toEqual([]);
  });

  it('replaces several addresses as a whole', async () => {
    const redirect = redirectOf({ name: 'two.example.test' });
    const before = await redirect.current();
    expect(before.addresses).toEqual(['192.0.2.1', '192.0.2.2']);
    await redirect.change(before, at('203.0.113.9'));
    expect((await redirect.current()).addresses).toEqual(['203.0.113.9']);
  });

  it('leaves a record alone that is not what it was', async () => {
    const redirect = redirectOf();
    const code = await codeOf(redirect.change(at('192.0.2.99'), at('203.0.113.7')));
    expect(code).toMatch(/^DNS_RECORD_CHANGED.*192\.0\.2\.99/);
    expect((await redirect.current()).addresses).toEqual(['192.0.2.10']);
  });

  it.each([
    [
      'a wrong secret',
      () =>
        ({
          key: { name: 'redirect.example', algorithm: 'hmac-sha256', secret: Buffer.alloc(32, 1) },
        }) as const,
      /BADSIG/,
    ],
    [
      'a key the server does not know',
      () => ({ key: { name: 'other.example', algorithm: 'hmac-sha256', secret: bind.secret } }) as const,
      /BADKEY/,
    ],
    [
      'a key that may not',
      () =>
        ({ key: { name: 'powerless.example', algorithm: 'hmac-sha256', secret: bind.powerless } }) as const,
      /REFUSED/,
    ],
    ['a record the key may not touch', () => ({ name: 'ns.example.test' }), /REFUSED/],
    [
      'another zone',
      () => ({ zone: 'elsewhere.test', name: 'www.elsewhere.test' }),
      /NOTAUTH|cannot be looked up|REFUSED/,
    ],
    ['a name outside the zone', () => ({ name: 'www.elsewhere.test' }), /NOTZONE|cannot be looked up/],
  ])('says why with %s, already in the rehearsal', async (_words, settings, words) => {
    const redirect = redirectOf(settings());
    expect(await codeOf(redirect.rehearse())).toMatch(words);
  });

  it('says that the clocks differ', async () => {
    const late = { ...systemClock, now: () => systemClock.now() - 3_600_000 };
    expect(await codeOf(redirectOf({}, late).rehearse())).toMatch(/BADTIME/);
  });

  it('says that nobody answers', async () => {
    const gone = await startBind();
    await gone.stop();
    const server = { host: '127.0.0.1', port: gone.port, timeoutMs: 300 };
    expect(await codeOf(redirectOf({ server }).rehearse())).toMatch(/^DNS_UNREACHABLE/);
  });

  it.each(['', 'a..b', 'x'.repeat(64), 'sp ace.test', `${'abcdefgh.'.repeat(30)}test`])(
    'refuses the name "%s"',
    async (name) => {
      expect(await codeOf(redirectOf({ name }).change(at('192.0.2.1'), at('192.0.2.2')))).toMatch(/^DNS_/);
    },
  );
});

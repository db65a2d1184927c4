import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { type DnsUpdateSettings, dnsUpdate } from '../../src/redirect/dns-update.ts';
import { redirect } from '../../src/verify/checks/redirect.ts';
import { verifyScenario } from '../../src/verify/verify.ts';
import { type Bind, startBind } from '../redirect/bind-server.ts';
import { facts } from './planted-facts.ts';

let bind: Bind;
beforeAll(async () => {
  bind = await startBind();
});
afterAll(() => bind?.stop());

function recordWith(change: Partial<DnsUpdateSettings> = {}) {
  const server = { host: '127.0.0.1', port: bind.port, timeoutMs: 1000 };
  const key = { name: 'redirect.example', algorithm: 'hmac-sha256', secret: bind.secret } as const;
  return dnsUpdate({ server, zone: 'example.test', name: 'www.example.test', key, ...change }, systemClock);
}

async function found(change: Partial<DnsUpdateSettings> = {}) {
  const given = facts({ redirect: { record: recordWith(change) }, moment: 'watch' });
  const verdicts = await verifyScenario(given, [redirect]);
  return verdicts.map((one) => `${one.status} ${one.code}: ${one.found}`).join('\n');
}

describe('A DNS record of a real BIND', () => {
  it('is looked up and changed into what it is, and is the same afterwards', async () => {
    const before = await recordWith().current();
    expect(await found()).toMatch(
      /^ok RECORD_CAN_BE_CHANGED: .*192\.0\.2\.10, TTL 300 s; a test update was taken$/,
    );
    expect(await recordWith().current()).toEqual(before);
  });

  it('is refused to a key that may not change it, to a wrong secret, and by a server that is not there', async () => {
    const powerless = {
      name: 'powerless.example',
      algorithm: 'hmac-sha256',
      secret: bind.powerless,
    } as const;
    expect(await found({ key: powerless })).toMatch(/^error RECORD_UPDATE_REFUSED: .*REFUSED/);
    const wrong = { name: 'redirect.example', algorithm: 'hmac-sha256', secret: randomBytes(32) } as const;
    expect(await found({ key: wrong })).toMatch(/^error RECORD_UPDATE_REFUSED: .*BADSIG/);
    const nobody = { host: '127.0.0.1', port: 1, timeoutMs: 200 };
    expect(await found({ server: nobody })).toMatch(/^error RECORD_UNREACHABLE: .*127\.0\.0\.1:1/);
  });

  it('that is not there would be made by a switchover, which is told', async () => {
    expect(await found({ name: 'new.example.test' })).toMatch(/^warning RECORD_MISSING: /);
    expect((await recordWith({ name: 'new.example.test' }).current()).addresses).toEqual([]);
  });
});

import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { fileLog } from '../../src/cli/logging.ts';

it('The log covers what is secret by its name or its look, keeps the rest, and is for its owner only', () => {
  const folder = mkdtempSync(join(tmpdir(), 'standby-log-'));
  try {
    const file = join(folder, 'logs', 'standby.log');
    const log = fileLog(file, { logLevel: 'info' });
    log.debug('below the level');
    log.info('fetching https://x.blob.example/b.tgz?sv=1&sig=HUSH1%3D&se=2', {
      clientSecret: 'HUSH2',
      nested: [{ Authorization: 'Bearer HUSH3HUSH3', headers: { 'x-token': 'HUSH4' } }],
      url: 'postgres://ops:HUSH5@db/standby',
      tokenId: 'kept-id',
      secretExpiresOn: '2030-01-01',
      key: '-----BEGIN PRIVATE KEY-----\nHUSH6\n-----END PRIVATE KEY-----',
      text: 'Authorization: Bearer HUSH7HUSH7HUSH7',
      error: Object.assign(new Error('failed with sig=, ?sig=HUSH8'), { request: { secret: 'HUSH9' } }),
      jwt: 'eyJhbGciOi.eyJhHUSHud.c2ln',
      bytes: Buffer.from('HUSH'),
      big: 5n,
    });
    const text = readFileSync(file, 'utf8');
    expect(text).not.toContain('HUSH');
    expect(text).not.toContain('below the level');
    expect(JSON.parse(text)).toMatchObject({
      tokenId: 'kept-id',
      secretExpiresOn: '2030-01-01',
      bytes: '[4 bytes]',
      big: '5',
      error: { type: 'Error' },
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig, VARIABLE_NAMES } from '../src/config.ts';

describe('The configuration', () => {
  it('has a default for everything', () => {
    const home = join(homedir(), '.standby');
    expect(loadConfig({})).toEqual({
      homeFolder: home,
      storeUrl: join(home, 'standby.db'),
      keyFile: join(home, 'key'),
      cacheFolder: join(home, 'cache'),
      logLevel: 'info',
      color: true,
      ci: false,
    });
  });

  it('takes what the environment says, and cannot be changed afterwards', () => {
    const config = loadConfig({
      STANDBY_HOME: '/srv/standby',
      STANDBY_STORE: 'postgres://ops@db.example.org/standby',
      STANDBY_KEY_FILE: '/etc/standby/key',
      STANDBY_PASSPHRASE: 'eight or more',
      STANDBY_CLIENT_SECRET: 'hush',
      STANDBY_CACHE: '/var/cache/standby',
      STANDBY_LOG_LEVEL: 'debug',
      STANDBY_LISTEN: '[::1]:25001',
      STANDBY_CRASH_AT: 'create-vm:acted',
      NO_COLOR: '1',
      CI: 'true',
    });
    expect(config).toEqual({
      homeFolder: '/srv/standby',
      storeUrl: 'postgres://ops@db.example.org/standby',
      keyFile: '/etc/standby/key',
      passphrase: 'eight or more',
      clientSecret: 'hush',
      cacheFolder: '/var/cache/standby',
      logLevel: 'debug',
      listen: '[::1]:25001',
      crashAt: 'create-vm:acted',
      color: false,
      ci: true,
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('lets --home win, treats an empty variable as absent, and makes paths absolute', () => {
    const config = loadConfig(
      { STANDBY_HOME: '/srv/a', STANDBY_STORE: 'b.db', STANDBY_LISTEN: '' },
      { home: '/srv/c' },
    );
    expect(config).toMatchObject({ homeFolder: '/srv/c', storeUrl: join(process.cwd(), 'b.db') });
    expect(config.keyFile).toBe('/srv/c/key');
    expect(config).not.toHaveProperty('listen');
  });

  it.each([
    ['STANDBY_STORE', 'mysql://root@db/standby'],
    ['STANDBY_LOG_LEVEL', 'chatty'],
    ['STANDBY_LISTEN', '25000'],
    ['STANDBY_LISTEN', '0.0.0.0:99999'],
    ['STANDBY_PASSPHRASE', 'short'],
    ['STANDBY_CRASH_AT', 'create-vm'],
  ])('names %s when its value cannot be, and does not show the value', (name, value) => {
    let error: unknown;
    try {
      loadConfig({ [name]: value });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'CONFIG_WRONG', kind: 'input', what: expect.stringContaining(name) });
    if (name === 'STANDBY_PASSPHRASE') expect(JSON.stringify(error)).not.toContain(value);
  });

  it('is explained in .env.example, variable by variable, with meaning, default and reader', () => {
    const text = readFileSync(new URL('../.env.example', import.meta.url), 'utf8');
    const blocks = text.split(/\n\n+/).filter((block) => /^[A-Z_]+=/m.test(block));
    const names = blocks.map((block) => /^([A-Z_]+)=$/m.exec(block)?.[1]);
    expect(names).toEqual([...VARIABLE_NAMES]);
    for (const block of blocks) {
      expect(block).toMatch(/^# .*Read by: .*\b(control|engine|tests)\b.*\.$/m);
      expect(block).toMatch(/^# Default: .+$/m);
    }
  });
});

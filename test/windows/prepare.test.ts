import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../src/log.ts';
import {
  type PrepareWindowsOptions,
  prepareWindows,
  proposeForWindows,
  titleOf,
  undoWindows,
} from '../../src/master/prepare-windows.ts';
import { makeFolder } from '../fixtures/engines.ts';
import { MadeUpRegistry } from './made-up-registry.ts';

const SYSTEM = 'HKEY_LOCAL_MACHINE\\SYSTEM';
const ONE = `${SYSTEM}\\ControlSet001`;
const TWO = `${SYSTEM}\\ControlSet002`;
const FILES = [
  ...['storvsc.sys', 'vmbus.sys', 'vmstorfl.sys'],
  ...['intelide.sys', 'pciidex.sys', 'atapi.sys', 'ataport.sys'],
];

let systemRoot: string;
let registry: MadeUpRegistry;
let options: PrepareWindowsOptions;

/** A Windows Server on VMware that was started by UEFI: some drivers wait until they are needed. */
beforeEach(async () => {
  systemRoot = await makeFolder();
  mkdirSync(join(systemRoot, 'System32', 'drivers'), { recursive: true });
  for (const file of FILES) writeFileSync(driverPath(file), 'MZ');
  registry = new MadeUpRegistry();
  options = { reg: registry.run, systemRoot, log: silentLog };
  registry.set('HKEY_USERS\\S-1-5-19');
  registry.set(`${SYSTEM}\\Select`, 'Default', 1);
  for (const set of [ONE, TWO]) {
    for (const service of ['storvsc', 'vmbus', 'storflt', 'intelide', 'atapi'])
      registry.set(`${set}\\Services\\${service}`, 'Start', 0);
    registry.set(`${set}\\Services\\Dhcp`, 'Start', 2);
    registry.set(`${set}\\Services\\partmgr\\Parameters`, 'SanPolicy', 1);
    registry.set(`${set}\\Control`, 'PEFirmwareType', 2);
  }
  registry.set(`${SYSTEM}\\CurrentControlSet\\Services\\storvsc`, 'Start', 3);
});
afterEach(() => rm(systemRoot, { recursive: true, force: true }));

function driverPath(file: string): string {
  return join(systemRoot, 'System32', 'drivers', file);
}

/** What a server on another platform has: each of these keeps it from starting, or from being reached. */
function spoil(): void {
  registry.set(`${ONE}\\Services\\storvsc`, 'Start', 3);
  registry.set(`${TWO}\\Services\\storvsc`, 'start', 3);
  registry.set(`${ONE}\\Services\\vmbus\\StartOverride`, '0', 3);
  registry.set(`${ONE}\\Services\\Dhcp`, 'Start', 4);
  registry.set(`${ONE}\\Services\\partmgr\\Parameters`, 'SanPolicy', 2);
  registry.removeKey(`${TWO}\\Services\\partmgr\\Parameters`);
  registry.set(`${TWO}\\Services\\partmgr\\Parameters`, 'Other', 1);
}

async function proposed(): Promise<string[]> {
  const { changes } = await proposeForWindows(options);
  return changes.map((change) => `${titleOf(change)} ${change.before} -> ${change.after}`);
}

const prepare = async () => prepareWindows(options, await proposeForWindows(options));
const record = () => join(systemRoot, 'Standby', 'prepare.json');

describe('Preparing a Windows master', () => {
  it('finds nothing to change on one that is right, in every control set, and writes nothing', async () => {
    const before = registry.all();
    expect(await proposeForWindows(options)).toEqual({ changes: [], left: [] });
    expect(await prepare()).toEqual({ done: [], skipped: [], commands: [] });
    expect([registry.all(), existsSync(record())]).toEqual([before, false]);
  });

  it.each(['english', 'japanese'] as const)('shows each change and makes it, in %s', async (language) => {
    registry.language = language;
    spoil();
    const before = registry.all();
    const wanted = [
      'HKLM\\SYSTEM\\ControlSet001\\Services\\storvsc: Start 3 -> 0',
      'HKLM\\SYSTEM\\ControlSet002\\Services\\storvsc: Start 3 -> 0',
      'HKLM\\SYSTEM\\ControlSet001\\Services\\vmbus\\StartOverride: 0 3 -> 0',
      'HKLM\\SYSTEM\\ControlSet001\\Services\\Dhcp: Start 4 -> 2',
      'HKLM\\SYSTEM\\ControlSet001\\Services\\partmgr\\Parameters: SanPolicy 2 -> 1',
      'HKLM\\SYSTEM\\ControlSet002\\Services\\partmgr\\Parameters: SanPolicy undefined -> 1',
    ];
    expect(await proposed()).toEqual(wanted);
    expect(registry.all()).toEqual(before);
    const { done, skipped } = await prepare();
    expect(done.map(({ how }) => how)).toEqual([...Array<string>(5).fill('changed'), 'made']);
    expect(skipped).toEqual([]);
    const after = registry.all();
    const changed = Object.keys({ ...before, ...after }).filter((name) => before[name] !== after[name]);
    expect(changed).toHaveLength(wanted.length);
    expect(await proposed()).toEqual([]);
    expect(await prepare()).toEqual({ done: [], skipped: [], commands: [] });
    expect((await undoWindows(options)).done).toHaveLength(wanted.length);
    expect([registry.all(), existsSync(record())]).toEqual([before, false]);
    expect(await undoWindows(options)).toEqual({ done: [], skipped: [], commands: [] });
  });

  it('killed before any write goes on where it was, or goes back, however often it dies', async () => {
    spoil();
    const before = registry.all();
    await prepare();
    const prepared = registry.all();
    await undoWindows(options);
    const dieAt = (writes: number) => {
      let made = 0;
      registry.beforeChange = () => {
        if (made++ >= writes) throw new Error('the machine is gone');
      };
    };
    for (let writes = 0; writes < 6; writes++) {
      for (const goesBack of [false, true]) {
        dieAt(writes);
        await expect(prepare()).rejects.toThrow('the machine is gone');
        expect(existsSync(record())).toBe(true);
        dieAt(Number.POSITIVE_INFINITY);
        if (!goesBack) {
          await prepare();
          expect(registry.all()).toEqual(prepared);
          dieAt(writes);
          await expect(undoWindows(options)).rejects.toThrow('the machine is gone');
          dieAt(Number.POSITIVE_INFINITY);
        }
        await undoWindows(options);
        expect(registry.all()).toEqual(before);
      }
    }
  });

  it('leaves what somebody else has changed since as it is, and names it', async () => {
    spoil();
    await prepare();
    registry.set(`${ONE}\\Services\\storvsc`, 'Start', 1);
    registry.removeKey(`${ONE}\\Services\\vmbus\\StartOverride`);
    const { done, skipped } = await undoWindows(options);
    expect(skipped).toEqual([
      'HKLM\\SYSTEM\\ControlSet001\\Services\\vmbus\\StartOverride: 0',
      'HKLM\\SYSTEM\\ControlSet001\\Services\\storvsc: Start',
    ]);
    expect(done).toHaveLength(4);
    expect(registry.all()[`${ONE}\\Services\\storvsc: Start`]).toBe('REG_DWORD 0x1');
  });

  it('changes nothing that is not any more what was shown', async () => {
    spoil();
    const shown = await proposeForWindows(options);
    registry.set(`${ONE}\\Services\\Dhcp`, 'Start', 3);
    const { skipped } = await prepareWindows(options, shown);
    expect(skipped).toEqual(['HKLM\\SYSTEM\\ControlSet001\\Services\\Dhcp: Start']);
    expect(registry.all()[`${ONE}\\Services\\Dhcp: Start`]).toBe('REG_DWORD 0x3');
  });

  it('cures a driver in all control sets or not at all: what is missing is named with the command', async () => {
    spoil();
    registry.removeKey(`${TWO}\\Services\\storvsc`);
    rmSync(driverPath('vmbus.sys'));
    writeFileSync(driverPath('vmstorfl.sys'), '');
    registry.set(`${ONE}\\Services\\storflt`, 'Start', 'boot', 'REG_SZ');
    const { changes, left } = await proposeForWindows(options);
    expect(changes.map(({ code }) => code)).toEqual(['DHCP_SERVICE', 'SAN_POLICY', 'SAN_POLICY']);
    const texts = left.map(({ code, text }) => `${code} ${text}`);
    expect(texts).toEqual([
      expect.stringContaining(`reg copy ${ONE}\\Services\\storvsc ${TWO}\\Services\\storvsc /s /f`),
      expect.stringMatching(/^VMBUS_START .*vmbus\.sys is not in .*DISM/),
      expect.stringContaining(`reg add ${ONE}\\Services\\storflt /v Start`),
      expect.stringMatching(/^STORFLT_START .*vmstorfl\.sys is not in/),
    ]);
  });

  it('looks at the IDE drivers of a server that starts by BIOS only', async () => {
    registry.set(`${ONE}\\Services\\atapi`, 'Start', 3);
    expect(await proposed()).toEqual([]);
    registry.set(`${ONE}\\Control`, 'PEFirmwareType', 1);
    expect(await proposed()).toEqual(['HKLM\\SYSTEM\\ControlSet001\\Services\\atapi: Start 3 -> 0']);
  });

  it('brings no disks of other servers online: cluster, iSCSI, CLUSTERPRO', async () => {
    registry.set(`${ONE}\\Services\\partmgr\\Parameters`, 'SanPolicy', 2);
    registry.set(`${ONE}\\Services\\MSiSCSI`, 'Start', 3);
    registry.set(`${ONE}\\Services\\ClusSvc`, 'Start', 4);
    expect(await proposed()).toHaveLength(1);
    for (const [service, start] of [
      ['ClusSvc', 2],
      ['MSiSCSI', 2],
      ['mpio', 0],
      ['clppm', 2],
    ] as const) {
      const before = registry.all()[`${ONE}\\Services\\${service}: Start`];
      registry.set(`${ONE}\\Services\\${service}`, 'Start', start);
      const { changes, left } = await proposeForWindows(options);
      expect([service, changes, left[0]?.code]).toEqual([service, [], 'SAN_POLICY']);
      registry.removeKey(`${ONE}\\Services\\${service}`);
      if (before) registry.set(`${ONE}\\Services\\${service}`, 'Start', 4);
    }
  });

  it('leaves the fixed addresses of the server that runs, and its page file, and says what to do', async () => {
    const nic = `${ONE}\\Services\\Tcpip\\Parameters\\Interfaces\\{1}`;
    registry.set(nic, 'EnableDHCP', 0);
    registry.set(nic, 'IPAddress', '10.0.0.5\\010.0.0.6', 'REG_MULTI_SZ');
    const memory = `${ONE}\\Control\\Session Manager\\Memory Management`;
    registry.set(memory, 'PagingFiles', 'E:\\pagefile.sys 0 0', 'REG_MULTI_SZ');
    const { changes, left } = await proposeForWindows(options);
    expect(changes).toEqual([]);
    expect(left.map(({ code, text }) => `${code} ${text}`)).toEqual([
      expect.stringMatching(/^STATIC_ADDRESS 10\.0\.0\.5.* stays fixed here/),
      expect.stringMatching(/^PAGE_FILE E:\\pagefile\.sys .*AutomaticManagedPagefile/),
    ]);
  });

  it('refuses whoever is no administrator, and calls no key absent that it may not read', async () => {
    registry.forbidden.add('hkey_users\\s-1-5-19');
    await expect(proposeForWindows(options)).rejects.toMatchObject({
      code: 'NOT_ADMINISTRATOR',
      kind: 'input',
    });
    await expect(undoWindows(options)).rejects.toMatchObject({ code: 'NOT_ADMINISTRATOR' });
    registry.forbidden.clear();
    registry.forbidden.add(`${ONE}\\services\\vmbus`.toLowerCase());
    await expect(proposeForWindows(options)).rejects.toMatchObject({ code: 'REGISTRY_UNREADABLE' });
  });

  it('says that a value was not changed when it reads as before', async () => {
    spoil();
    const { changes } = await proposeForWindows(options);
    const reg: typeof registry.run = async (args) =>
      args[0] === 'query' ? registry.run(args) : { code: 0, said: '' };
    await expect(prepareWindows({ ...options, reg }, { changes })).rejects.toMatchObject({
      code: 'REGISTRY_UNWRITTEN',
    });
  });

  it('changes nothing when it cannot be written down first', async () => {
    spoil();
    const before = registry.all();
    mkdirSync(`${record()}.new`, { recursive: true });
    await expect(prepare()).rejects.toMatchObject({ code: 'PREPARE_NOT_ALLOWED' });
    expect(registry.all()).toEqual(before);
  });

  it('puts nothing back that no preparation ever changes, whatever the record says', async () => {
    spoil();
    await prepare();
    const before = registry.all();
    const text = readFileSync(record(), 'utf8');
    writeFileSync(record(), text.replace('ControlSet001\\\\Services\\\\storvsc', 'Setup'));
    await expect(undoWindows(options)).rejects.toMatchObject({ code: 'STATE_UNREADABLE' });
    expect(registry.all()).toEqual(before);
  });
});

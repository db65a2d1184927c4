import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readReadiness } from '../../src/guest/readiness/readiness.ts';
import { dword, logOf, seal, text, texts } from './hive-writer.ts';
import { faultsOf } from './readiness-faults.ts';
import { deviceOf, run } from './volumes.ts';
import {
  biosWindows,
  bootData,
  ESP_FILES,
  type Ingredients,
  MSR_AT,
  readyRegistry,
  SETS,
  softwareHive,
  uefiWindows,
  type WindowsRegistry,
} from './windows-disk.ts';
import { NTFS_SECTOR } from './windows-volume.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-windows-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function changed(change: (registry: WindowsRegistry) => void): Ingredients {
  const registry = readyRegistry();
  change(registry);
  return { system: registry.hive() };
}

const inAll = (act: (set: string) => void) => {
  for (const set of SETS) act(set);
};
const MEMORY = 'Control\\Session Manager\\Memory Management';
const CLASSES = 'Control\\Class\\{4d36e967-e325-11ce-bfc1-08002be10318}';
const NETWORK_CLASS = 'Control\\Class\\{4d36e972-e325-11ce-bfc1-08002be10318}';
const NIC = 'Services\\Tcpip\\Parameters\\Interfaces\\{99999999-2222-3333-4444-555555555555}';

describe('Windows of generation 2', () => {
  it('is ready when every fact is as it should be', async () => {
    const disk = uefiWindows(folder);
    expect(await faultsOf(disk)).toEqual({ verdict: 'ready', faults: [], found: undefined });
    const { os, generation, verdicts } = await readReadiness(deviceOf(disk));
    expect([os, generation]).toEqual([{ family: 'windows', name: 'Windows Server (10.0, build 20348)' }, 2]);
    expect(verdicts.length).toBeGreaterThan(20);
  });

  const registryFaults: readonly [string, (registry: WindowsRegistry) => void, RegExp][] = [
    [
      'STORVSC_START error',
      (all) => all.set('ControlSet002\\Services\\storvsc', 'Start', dword(3)),
      /ControlSet002: 3/,
    ],
    [
      'STORVSC_START error',
      (all) => all.set('ControlSet001\\Services\\storvsc\\StartOverride', '0', dword(3)),
      /StartOverride 0 = 3/,
    ],
    [
      'VMBUS_START error',
      (all) => all.remove('ControlSet001\\Services\\vmbus'),
      /ControlSet001: no such service/,
    ],
    [
      'STORFLT_START warning',
      (all) => all.set('ControlSet001\\Services\\storflt', 'Start', dword(4)),
      /4 \(disabled\)/,
    ],
    [
      'INTELIDE_START warning',
      (all) => all.set('ControlSet002\\Services\\intelide', 'Start', dword(3)),
      /on demand/,
    ],
    [
      'ATAPI_START warning',
      (all) => all.set('ControlSet002\\Services\\atapi', 'Start', text('0')),
      /no start value/,
    ],
    [
      'DHCP_SERVICE error',
      (all) => all.set('ControlSet002\\Services\\Dhcp', 'Start', dword(4)),
      /ControlSet002: 4/,
    ],
    [
      'SAN_POLICY warning',
      (all) => inAll((set) => all.set(`${set}\\Services\\partmgr\\Parameters`, 'SanPolicy', dword(2))),
      /2/,
    ],
    [
      'STATIC_ADDRESS warning',
      (all) =>
        inAll((set) =>
          all
            .set(`${set}\\${NIC}`, 'EnableDHCP', dword(0))
            .set(`${set}\\${NIC}`, 'IPAddress', texts('10.1.2.3')),
        ),
      /10\.1\.2\.3 is fixed/,
    ],
    [
      'NIC_TEAM warning',
      (all) =>
        inAll((set) => {
          all.set(`${set}\\${NETWORK_CLASS}\\0001`, 'ComponentId', text('PCI\\VEN_15AD&DEV_07B0'));
          all.set(`${set}\\${NETWORK_CLASS}\\0009`, 'ComponentId', text('COMPOSITEBUS\\MS_IMPLAT_MP'));
        }),
      /team or bridge/,
    ],
    [
      'ROUTES warning',
      (all) =>
        inAll((set) =>
          all.set(
            `${set}\\Services\\Tcpip\\Parameters\\PersistentRoutes`,
            '10.9.0.0,255.255.0.0,10.1.2.1,1',
            text(''),
          ),
        ),
      /^10\.9\.0\.0,255\.255\.0\.0,10\.1\.2\.1,1$/,
    ],
    [
      'FILTER_DRIVERS error',
      (all) => inAll((set) => all.set(`${set}\\${CLASSES}`, 'LowerFilters', texts('oldraid'))),
      /oldraid.*no driver file/,
    ],
    [
      'FILTER_DRIVERS warning',
      (all) =>
        inAll((set) => {
          all.set(`${set}\\${CLASSES}`, 'LowerFilters', texts('backupflt'));
          all.set(
            `${set}\\Services\\backupflt`,
            'ImagePath',
            text('\\SystemRoot\\System32\\drivers\\atapi.sys'),
          );
        }),
      /^backupflt \(disk\)$/,
    ],
    [
      'PLATFORM_TOOLS warning',
      (all) => inAll((set) => all.set(`${set}\\Services\\VMTools`, 'Start', dword(2))),
      /VMTools/,
    ],
    [
      'PAGE_FILE warning',
      (all) => inAll((set) => all.set(`${set}\\${MEMORY}`, 'PagingFiles', texts('D:\\pagefile.sys 1 2'))),
      /^D:/,
    ],
    [
      'PENDING_RENAMES warning',
      (all) =>
        inAll((set) =>
          all.set(
            `${set}\\Control\\Session Manager`,
            'PendingFileRenameOperations',
            texts('\\??\\C:\\a.tmp'),
          ),
        ),
      /a\.tmp/,
    ],
  ];
  it.each(registryFaults)(
    'with one wrong value has the verdict %s and no other',
    async (fault, change, found) => {
      const result = await faultsOf(uefiWindows(folder, changed(change)));
      expect(result.faults).toEqual([fault]);
      expect(result.found).toMatch(found);
      expect(result.verdict).toBe(fault.endsWith('error') ? 'not ready' : 'ready');
    },
  );

  it.each([
    ['STORVSC_FILE error', 'storvsc'],
    ['VMBUS_FILE error', 'vmbus'],
    ['STORFLT_FILE warning', 'vmstorfl'],
    ['INTELIDE_FILE warning', 'pciidex'],
    ['ATAPI_FILE warning', 'ataport'],
  ])('has the verdict %s and no other without %s.sys', async (fault, file) => {
    const files = { [`Windows/System32/drivers/${file}.sys`]: null };
    expect((await faultsOf(uefiWindows(folder, { files }))).faults).toEqual([fault]);
  });

  it('is refused for its boot files, its boot configuration or its partitions alone', async () => {
    const [fallback, manager] = ESP_FILES;
    expect((await faultsOf(uefiWindows(folder, {}, [`${manager}`]))).faults).toEqual(['BOOT_FILES error']);
    expect((await faultsOf(uefiWindows(folder, {}, [`${fallback}`]))).faults).toEqual(['BOOT_FILES error']);
    const wrongLoader = uefiWindows(folder, { bootData: bootData('winload.exe') });
    expect((await faultsOf(wrongLoader)).faults).toEqual(['BCD error']);
    const withoutEsp = join(folder, 'without-esp.img');
    writeFileSync(withoutEsp, uefiWindows(folder));
    run('sgdisk', '-t', '1:0700', withoutEsp);
    expect((await faultsOf(readFileSync(withoutEsp))).faults).toEqual(['PARTITION_STYLE error']);
  });

  it.each([
    ['header', 512 + 16, /of its GPT/],
    ['list of partitions', 1024 + 2 * 128 + 60, /of its partitions/],
  ])('is refused when the checksum of the %s is wrong', async (_, at, found) => {
    const damaged = uefiWindows(folder);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    const result = await faultsOf(damaged);
    expect(result.faults).toEqual(['PARTITION_TABLE error']);
    expect(result.found).toMatch(found);
  });

  it('is told that its volumes are encrypted, and nothing that cannot be known', async () => {
    const data = uefiWindows(folder);
    data.write('-FVE-FS-', MSR_AT + 3, 'latin1');
    expect((await faultsOf(data)).faults).toEqual(['BITLOCKER warning']);
    const system = uefiWindows(folder);
    system.write('-FVE-FS-', NTFS_SECTOR * 512 + 3, 'latin1');
    expect(await faultsOf(system)).toMatchObject({ verdict: 'not ready', faults: ['BITLOCKER error'] });
  });

  it('of 2012 R2 is warned about the hosts of today, unless the keys are there', async () => {
    const software = softwareHive(6, 3);
    expect((await faultsOf(uefiWindows(folder, { software }))).faults).toEqual(['ACPI_DEVICES warning']);
    const known = changed((all) => {
      for (const name of ['MSFT1000', 'MSFT1002']) {
        all.set(`ControlSet001\\Enum\\ACPI\\${name}\\0`, 'x', dword(1));
      }
    });
    expect((await faultsOf(uefiWindows(folder, { ...known, software }))).faults).toEqual([]);
  });

  it('in use is judged with its logs replayed, and warned about when they cannot be', async () => {
    const old = changed((all) => all.set('ControlSet001\\Services\\storvsc', 'Start', dword(3))).system;
    const now = readyRegistry().hive();
    if (!old) throw new Error('no hive');
    const log = logOf(old, { sequence: 1, entries: [{ sequence: 1, from: old, to: now }] });
    const dirty = (bytes: Buffer) => {
      const copy = Buffer.from(bytes);
      copy.writeUInt32LE(copy.readUInt32LE(4) + 1, 4);
      seal(copy);
      return copy;
    };
    const files = { 'Windows/System32/config/SYSTEM.LOG1': log };
    expect((await faultsOf(uefiWindows(folder, { system: dirty(old), files }))).faults).toEqual([]);
    expect((await faultsOf(uefiWindows(folder, { system: dirty(now) }))).faults).toEqual([
      'HIVE_STATE warning',
    ]);
    expect((await faultsOf(uefiWindows(folder, { system: dirty(old) }))).faults).toEqual([
      'HIVE_STATE warning',
      'STORVSC_START error',
    ]);
  });
});

describe('Windows of generation 1', () => {
  it('is ready when every fact is as it should be', async () => {
    expect(await faultsOf(biosWindows(folder))).toMatchObject({ verdict: 'ready', faults: [] });
  });

  it.each<[string, Ingredients, { active?: boolean; code?: boolean }]>([
    [
      'INTELIDE_START error',
      changed((all) => all.set('ControlSet001\\Services\\intelide', 'Start', dword(3))),
      {},
    ],
    ['ATAPI_FILE error', { files: { 'Windows/System32/drivers/atapi.sys': null } }, {}],
    ['PARTITION_STYLE error', {}, { active: false }],
    ['BOOT_CODE error', {}, { code: false }],
    ['BOOT_FILES error', { files: { bootmgr: null } }, {}],
    ['BCD error', { bootData: bootData('winload.efi') }, {}],
  ])('has the verdict %s and no other for that one fact', async (fault, ingredients, change) => {
    const disk = biosWindows(folder, ingredients, change);
    expect(await faultsOf(disk)).toMatchObject({ verdict: 'not ready', faults: [fault] });
  });
});

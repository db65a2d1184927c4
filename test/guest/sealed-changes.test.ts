import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readReadiness } from '../../src/guest/readiness/readiness.ts';
import { sealedChanges } from '../../src/guest/sealed/sealed-changes.ts';
import { dword, logOf, seal, texts } from './hive-writer.ts';
import { linesByHivex } from './hivex.ts';
import { linuxDisk } from './linux-disk.ts';
import { attempt, deviceOf, MIB, run } from './volumes.ts';
import { biosWindows, readyRegistry, SETS, uefiWindows, type WindowsRegistry } from './windows-disk.ts';
import { NTFS_BYTES, NTFS_SECTOR } from './windows-volume.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-sealed-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const NIC = 'Services\\Tcpip\\Parameters\\Interfaces\\{99999999-2222-3333-4444-555555555555}';

function hiveWith(...changes: readonly ((registry: WindowsRegistry) => unknown)[]): Buffer {
  const registry = readyRegistry();
  for (const change of changes) change(registry);
  return registry.hive();
}

const look = (disk: Buffer) => sealedChanges(deviceOf(disk), { boot: true });

/** The disk with the first so many patches. */
function patched(disk: Buffer, patches: readonly { atBytes: number; bytes: Buffer }[]): Buffer {
  const copy = Buffer.from(disk);
  for (const { atBytes, bytes } of patches) bytes.copy(copy, atBytes);
  return copy;
}

function systemHiveOf(disk: Buffer): string {
  const volume = join(folder, 'patched.ntfs');
  writeFileSync(volume, disk.subarray(NTFS_SECTOR * 512, NTFS_SECTOR * 512 + NTFS_BYTES));
  const file = join(folder, 'patched-system');
  run('sh', '-c', `ntfscat -f ${volume} Windows/System32/config/SYSTEM > ${file}`);
  return file;
}

const start = (set: string, service: string, value: number) => (registry: WindowsRegistry) =>
  registry.set(`${set}\\Services\\${service}`, 'Start', dword(value));

const CURABLE: readonly [string, (registry: WindowsRegistry) => unknown][] = [
  ['STORVSC_START', start('ControlSet002', 'storvsc', 3)],
  ['STORVSC_START', (all) => all.set('ControlSet001\\Services\\storvsc\\StartOverride', '0', dword(3))],
  ['VMBUS_START', start('ControlSet001', 'vmbus', 4)],
  ['STORFLT_START', start('ControlSet001', 'storflt', 3)],
  ['DHCP_SERVICE', start('ControlSet002', 'Dhcp', 4)],
  ['SAN_POLICY', (all) => all.set('ControlSet001\\Services\\partmgr\\Parameters', 'SanPolicy', dword(2))],
  [
    'STATIC_ADDRESS',
    (all) =>
      all
        .set(`ControlSet001\\${NIC}`, 'EnableDHCP', dword(0))
        .set(`ControlSet001\\${NIC}`, 'IPAddress', texts('10.1.2.3')),
  ],
];

describe('What a sealed copy of Windows gets', () => {
  it.each(CURABLE)('is %s as it should be, by one value of the same length', async (code, change) => {
    const broken = uefiWindows(folder, { system: hiveWith(change) });
    const { changes, left, patches, readiness } = await look(broken);
    expect(changes.map((one) => one.code)).toEqual([code]);
    expect(left).toEqual([]);
    expect(readiness?.verdict).toBe('ready');
    const cured = patched(broken, patches);
    expect(cured.length).toBe(broken.length);
    const { verdicts } = await readReadiness(deviceOf(cured));
    expect(verdicts.filter(({ status }) => status !== 'ok')).toEqual([]);
    // hivex reads the same registry as before, but for that value.
    const lines = linesByHivex(systemHiveOf(cured));
    const before = new Set(linesByHivex(systemHiveOf(broken)));
    expect(lines.filter((line) => !before.has(line))).toHaveLength(1);
    expect(lines).toHaveLength(before.size);
    expect(attempt('ntfsinfo', '-m', '-f', join(folder, 'patched.ntfs')).status).toBe(0);
    expect((await look(cured)).changes).toEqual([]);
  });

  it('starts with IDE where it is of generation 1 only', async () => {
    const system = hiveWith(start('ControlSet001', 'intelide', 3));
    expect((await look(uefiWindows(folder, { system }))).changes).toEqual([]);
    const { changes, readiness } = await look(biosWindows(folder, { system }));
    expect(changes.map(({ code }) => code)).toEqual(['INTELIDE_START']);
    expect(readiness?.verdict).toBe('ready');
  });

  it('is nothing of a fact that needs more: a service, a value or a file that is not there', async () => {
    const half = hiveWith(start('ControlSet001', 'storvsc', 3), (all) =>
      all.remove('ControlSet002\\Services\\storvsc'),
    );
    const found = await look(uefiWindows(folder, { system: half }));
    expect(found).toMatchObject({ changes: [], patches: [], left: [{ code: 'STORVSC_START' }] });
    expect(found.readiness?.verdict).toBe('not ready');
    const files = { 'Windows/System32/drivers/vmbus.sys': null };
    const noFile = await look(
      uefiWindows(folder, { system: hiveWith(start('ControlSet001', 'vmbus', 3)), files }),
    );
    expect(noFile).toMatchObject({
      changes: [],
      left: [{ code: 'VMBUS_START', text: 'vmbus: vmbus.sys is not there' }],
    });
  });

  it('of a registry that was in use has what its logs hold; without logs nothing is touched', async () => {
    const old = hiveWith(start('ControlSet001', 'storvsc', 3), start('ControlSet001', 'vmbus', 3));
    const now = hiveWith(start('ControlSet001', 'storvsc', 3));
    const used = Buffer.from(old);
    used.writeUInt32LE(used.readUInt32LE(4) + 1, 4);
    seal(used);
    const sequence = old.readUInt32LE(8);
    const log = logOf(old, { sequence, entries: [{ sequence, from: old, to: now }] });
    const files = { 'Windows/System32/config/SYSTEM.LOG1': log };
    const broken = uefiWindows(folder, { system: used, files });
    const { changes, patches } = await look(broken);
    expect(changes.map(({ code }) => code)).toEqual(['STORVSC_START']);
    const cured = patched(broken, patches);
    expect(linesByHivex(systemHiveOf(cured))).toEqual(linesByHivex(saved(readyRegistry().hive())));
    const { verdicts } = await readReadiness(deviceOf(cured));
    expect(verdicts.find(({ code }) => code === 'HIVE_STATE')?.found).toBe('closed cleanly');
    const bare = await look(uefiWindows(folder, { system: used }));
    expect(bare).toMatchObject({ patches: [], changes: [], left: [{ code: 'REGISTRY' }] });
  });

  it('leaves the disk as sound as it was after each first part of its patches', {
    timeout: 90_000,
  }, async () => {
    const system = hiveWith(start(SETS[0] ?? '', 'storvsc', 3), start(SETS[1] ?? '', 'Dhcp', 4));
    const broken = larger(uefiWindows(folder, { system }), 5 * MIB);
    const { patches } = await look(broken);
    expect(patches.length).toBeGreaterThan(4);
    for (let count = 0; count <= patches.length; count++) {
      const part = patched(broken, patches.slice(0, count));
      expect(run('sgdisk', '-p', saved(part, 'part.img'))).toContain('EF00');
      const { verdicts } = await readReadiness(deviceOf(part));
      const codes = verdicts.filter(({ status }) => status !== 'ok').map(({ code }) => code);
      expect(codes.filter((code) => !['STORVSC_START', 'DHCP_SERVICE'].includes(code))).toEqual([]);
    }
  });
});

function saved(bytes: Buffer, name = 'saved'): string {
  const file = join(folder, name);
  writeFileSync(file, bytes);
  return file;
}

function larger(disk: Buffer, bytes: number): Buffer {
  return Buffer.concat([disk, Buffer.alloc(bytes)]);
}

const verified = (disk: Buffer) => run('sgdisk', '-v', saved(disk, 'table.img'));

describe('The backup of a GPT', () => {
  it('goes to the end of a larger disk, as sgdisk would have it', async () => {
    const disk = larger(linuxDisk(folder, { style: 'uefi' }), 7 * MIB);
    expect(verified(disk)).not.toContain('No problems found');
    const { changes, patches, left } = await look(disk);
    expect(changes.map(({ code }) => code)).toEqual(['GPT_BACKUP']);
    expect(left).toEqual([]);
    const repaired = patched(disk, patches);
    expect(verified(repaired)).toContain('No problems found');
    expect((await look(repaired)).patches).toEqual([]);
    const bySgdisk = saved(disk, 'by-sgdisk.img');
    run('sgdisk', '-e', bySgdisk);
    const expected = readFileSync(bySgdisk);
    expect(repaired.subarray(512, 1024).equals(expected.subarray(512, 1024))).toBe(true);
    expect(repaired.subarray(-33 * 512).equals(expected.subarray(-33 * 512))).toBe(true);
    const dataDisk = await sealedChanges(deviceOf(disk), { boot: false });
    expect(dataDisk.patches).toEqual(patches);
  });

  it('stays where it is when it is right, when there is none, and when its table is damaged', async () => {
    const right = linuxDisk(folder, { style: 'uefi' });
    expect(await look(right)).toMatchObject({ patches: [], left: [] });
    expect(await look(larger(linuxDisk(folder), MIB))).toMatchObject({ patches: [], left: [] });
    const damaged = larger(right, MIB);
    damaged.writeUInt8(1, 1024 + 3 * 128);
    expect(await look(damaged)).toMatchObject({ patches: [], left: [{ code: 'GPT_BACKUP' }] });
    const smaller = right.subarray(0, right.length - MIB / 2);
    expect(await look(smaller)).toMatchObject({ patches: [], left: [{ code: 'GPT_BACKUP' }] });
  });
});

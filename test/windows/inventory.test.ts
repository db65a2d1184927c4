import { describe, expect, it } from 'vitest';
import { isStandbyError } from '../../src/errors.ts';
import { chooseDisks } from '../../src/master/windows/disk-choice.ts';
import { parseWindowsDocument } from '../../src/master/windows/inventory-document.ts';
import { pathsToday, prefixOf, windowsFacts } from '../../src/master/windows/windows-inventory.ts';
import { inventorySchema } from '../../src/wire/inventory.ts';
import {
  answer,
  DATA_VOLUME,
  dataDisk,
  dataPartition,
  disk,
  englishMbrAnswer,
  GPT,
  nic,
  OS_VOLUME,
  partition,
  volume,
} from './documents.ts';

const factsOf = (raw: unknown, named: readonly string[] = []) =>
  windowsFacts(parseWindowsDocument(raw), named);
const noticesOf = (raw: unknown, named: readonly string[] = []) =>
  Object.fromEntries((factsOf(raw, named).facts.notices ?? []).map(({ code, found }) => [code, found]));
const takenFrom = (raw: unknown, named: readonly string[] = []) =>
  factsOf(raw, named).choice.taken.map(({ Number: number }) => number);

/** The code and the words of what stops it. */
function refusal(raw: unknown, named: readonly string[] = []): string {
  try {
    factsOf(raw, named);
  } catch (error) {
    if (isStandbyError(error)) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'nothing stopped it';
}

const WITH_DATA = (changes: Record<string, unknown>, more: Record<string, unknown> = {}) =>
  answer({ disks: [disk(), dataDisk(changes)], ...more });

describe('What Windows tells of itself', () => {
  it('is understood in Japanese, with lists as PowerShell 5.1 writes them', () => {
    const { facts, hostName, choice } = factsOf(answer());
    expect(hostName).toBe('ap01');
    expect(facts).toMatchObject({
      os: { family: 'windows', name: 'Microsoft Windows Server 2022 Standard (build 20348)' },
      firmware: 'uefi',
      bootId: 'booted-1795000000000',
      timeZone: 'Tokyo Standard Time',
      notices: [],
    });
    expect(facts.nics).toEqual([
      {
        id: 'nic0',
        name: 'イーサネット',
        mac: '00:50:56:AB:12:34',
        addresses: ['192.168.10.21'],
        networks: ['192.168.10.21/24'],
        gateways: ['192.168.10.1'],
        dnsServers: ['192.168.10.5', '192.168.10.6'],
        dhcp: false,
      },
    ]);
    expect(choice.taken.map(({ Number: number }) => number)).toEqual([0, 1]);
  });

  it('is understood in English, where one element stands for a list; the NIC with a gateway is the first', () => {
    const { facts, choice } = factsOf(englishMbrAnswer());
    expect(facts.firmware).toBe('bios');
    expect(facts.nics.map(({ name, dhcp, gateways }) => ({ name, dhcp, gateways }))).toEqual([
      { name: 'Ethernet0', dhcp: true, gateways: ['192.168.10.1'] },
      { name: 'Storage', dhcp: false, gateways: [] },
    ]);
    expect(facts.nics[1]?.networks).toEqual(['10.9.0.4/16']);
    expect(choice.taken).toHaveLength(1);
  });

  it('travels on the wire whole', () => {
    const { facts, hostName } = factsOf(answer({ cluster: { hive: true, services: [] } }));
    const inventory = { hostName, ...facts, disks: [], takenAtMs: 1 };
    expect(inventorySchema.parse(inventory)).toEqual(inventory);
  });

  it('is refused, with the place, when it is not what was asked for', () => {
    expect(refusal(answer({ disks: [disk({ Size: 'many' })] }))).toMatch(
      /^WINDOWS_ANSWER_WRONG .*disks\.0\.Size/,
    );
    expect(refusal('')).toContain('WINDOWS_ANSWER_WRONG');
    expect(refusal(answer({ hostName: '' }))).toContain('hostName');
  });

  it('sends an older Windows to a copy at rest', () => {
    const os = { name: 'Microsoft Windows Server 2012 R2 Standard', version: '6.3.9600', build: '9600' };
    const old = answer({ os: { ...os, productType: 3, language: 1033, bootedMs: 1 } });
    expect(refusal(old)).toMatch(/^WINDOWS_TOO_OLD Microsoft Windows Server 2012 R2 Standard/);
  });

  it.each([
    ['255.255.255.0', 24],
    ['255.255.255.255', 32],
    ['255.255.240.0', 20],
    ['0.0.0.0', 0],
    ['64', 64],
  ])('reads the mask %s as %i bits', (mask, bits) => expect(prefixOf(mask)).toBe(bits));
});

describe('A disk of Windows', () => {
  it.each([
    ['4Kn', WITH_DATA({ LogicalSectorSize: 4096 }), '4Kn'],
    ['Storage Spaces, by its bus', WITH_DATA({ BusType: 16 }), 'Storage Spaces'],
    [
      'Storage Spaces, by its partitions',
      answer({ partitions: [partition(), dataPartition({ GptType: GPT.spaces })] }),
      'Storage Spaces',
    ],
    [
      'dynamic, on GPT',
      answer({ partitions: [partition(), dataPartition({ GptType: GPT.dynamicData.toUpperCase() })] }),
      'dynamic disk',
    ],
    [
      'dynamic, on MBR',
      WITH_DATA(
        { PartitionStyle: 1, Guid: null, Signature: 7 },
        { partitions: [partition(), dataPartition({ GptType: null, MbrType: 0x42 })] },
      ),
      'dynamic disk',
    ],
    ['without a partition table', WITH_DATA({ PartitionStyle: 0, Guid: null }), 'no partition table'],
    ['read-only', WITH_DATA({ IsReadOnly: true }), 'read-only'],
    [
      'protected by BitLocker',
      answer({ bitlocker: [{ DeviceID: OS_VOLUME, ProtectionStatus: 1, ConversionStatus: 1 }] }),
      'volume C: is protected by BitLocker; a standby has no TPM',
    ],
    [
      'being decrypted',
      answer({ bitlocker: { DeviceID: OS_VOLUME.toUpperCase(), ProtectionStatus: 0, ConversionStatus: 3 } }),
      'being converted',
    ],
  ])('is refused with the reason: %s', (_, raw, words) => {
    const said = refusal(raw);
    expect(said).toMatch(/^DISK_REFUSED/);
    expect(said).toContain(words);
  });

  it('that is refused does not keep the others from being named', () => {
    const raw = WITH_DATA({ LogicalSectorSize: 4096 });
    expect(takenFrom(raw, ['\\\\.\\PHYSICALDRIVE0'])).toEqual([0]);
    expect(noticesOf(raw, ['\\\\.\\PhysicalDrive0']).DISKS_LEFT).toContain('PhysicalDrive1');
  });

  it('is taken where BitLocker is suspended, and that is told', () => {
    const raw = answer({ bitlocker: [{ DeviceID: OS_VOLUME, ProtectionStatus: 0, ConversionStatus: 1 }] });
    expect(takenFrom(raw)).toEqual([0, 1]);
    expect(noticesOf(raw)).toEqual({ BITLOCKER_SUSPENDED: 'volume C:.' });
  });

  it.each([
    ['SHARED_DISKS_LEFT', { IsClustered: true }, 'failover cluster'],
    ['NETWORK_VOLUMES', { BusType: 9 }, 'iSCSI'],
    ['DISKS_LEFT', { IsOffline: true }, 'offline'],
    ['DISKS_LEFT', { BusType: 7 }, 'unplugged'],
    ['DISKS_LEFT', { BusType: 15 }, 'another disk'],
  ])('is never taken silently: %s %o', (code, changes, words) => {
    const raw = WITH_DATA(changes);
    expect(takenFrom(raw)).toEqual([0]);
    const found = noticesOf(raw)[code];
    expect(found).toContain('PhysicalDrive1');
    expect(found).toContain(words);
  });

  it('of a failover cluster is refused even to who names it; one of iSCSI is not', () => {
    const both = ['\\\\.\\PhysicalDrive0', '\\\\.\\PhysicalDrive1'];
    expect(refusal(WITH_DATA({ IsClustered: true }), both)).toMatch(/^DISK_REFUSED .*failover cluster/);
    expect(takenFrom(WITH_DATA({ BusType: 9 }), both)).toEqual([0, 1]);
  });

  it('must be there, and the one that Windows runs from must be among them', () => {
    expect(refusal(answer(), ['\\\\.\\PhysicalDrive7'])).toMatch(/^DISK_VANISHED/);
    expect(refusal(answer(), ['\\\\.\\PhysicalDrive1'])).toMatch(/^SYSTEM_DISK_MISSING/);
  });

  it('comes first when it holds the system, and holds the boot files too', () => {
    const swapped = [dataDisk({ Number: 0 }), disk({ Number: 1 })];
    expect(takenFrom(answer({ disks: swapped, partitions: [] }))).toEqual([1, 0]);
    const spread = [disk({ IsSystem: false }), dataDisk({ IsSystem: true })];
    expect(refusal(answer({ disks: spread }))).toMatch(/^SYSTEM_SPREAD/);
  });

  it('keeps the place in which it was named, whatever its number', () => {
    const three = answer({ disks: [disk({ Number: 2 }), dataDisk({ Number: 0 }), dataDisk({ Number: 1 })] });
    const named = [2, 1, 0].map((number) => `\\\\.\\PhysicalDrive${number}`);
    expect(takenFrom(three, named)).toEqual([2, 1, 0]);
  });

  it('is found again when Windows numbers its disks anew, and never taken for another', () => {
    const known = chooseDisks(parseWindowsDocument(answer()), []).taken.map((one, index) => ({
      id: `disk${index}`,
      path: `\\\\.\\PhysicalDrive${one.Number}`,
      tableId: one.Guid.toLowerCase(),
      sizeBytes: one.Size,
      logicalSectorBytes: 512,
      partitionTable: 'gpt' as const,
      boot: one.IsBoot,
      volumes: [],
    }));
    const swapped = parseWindowsDocument(answer({ disks: [disk({ Number: 1 }), dataDisk({ Number: 0 })] }));
    expect(pathsToday(swapped, known)).toEqual(['\\\\.\\PhysicalDrive1', '\\\\.\\PhysicalDrive0']);
    const gone = parseWindowsDocument(answer({ disks: [disk()] }));
    expect(() => pathsToday(gone, known)).toThrow(/disk1.*no longer there/);
    const twice = parseWindowsDocument(answer({ disks: [disk(), dataDisk(), dataDisk({ Number: 2 })] }));
    expect(() => pathsToday(twice, known)).toThrow(/disk1.*more than once/);
  });
});

describe('What a person must know of a Windows server', () => {
  it.each([
    ['CLUSTER_NODE', { cluster: { hive: true, services: [] } }, 'Windows failover cluster'],
    ['REBOOT_PENDING', { pendingReboot: 'servicing' }, 'Windows servicing waits'],
    ['REBOOT_PENDING', { pendingReboot: ['renames'] }, 'renamed at the next start'],
    ['CRASH_CONSISTENT', { diskshadow: false }, 'no diskshadow'],
    ['NETWORK_VOLUMES', { shares: [{ letter: 'Z', remote: '\\\\nas\\data' }] }, 'Z: is \\\\nas\\data'],
    [
      'NETWORK_VOLUMES',
      { iscsiSessions: { IsConnected: true, TargetNodeAddress: 'iqn.1991-05.com.example:t1' } },
      'iqn.1991-05',
    ],
  ])('is told: %s %o', (code, changes, words) => {
    const notices = noticesOf(answer(changes));
    expect(Object.keys(notices)).toEqual([code]);
    expect(notices[code]).toContain(words);
  });

  it('holds a node of CLUSTERPRO to its own disks, until more are named', () => {
    const services = [
      { name: 'clpstartup', displayName: 'CLUSTERPRO Server', startMode: 'Auto', state: 'Running' },
    ];
    const raw = answer({ cluster: { hive: false, services } });
    expect(takenFrom(raw)).toEqual([0]);
    expect(Object.keys(noticesOf(raw))).toEqual(['CLUSTER_NODE', 'SHARED_DISKS_LEFT']);
    expect(takenFrom(raw, ['\\\\.\\PhysicalDrive0', '\\\\.\\PhysicalDrive1'])).toEqual([0, 1]);
    const off = services.map((service) => ({ ...service, startMode: 'Disabled' }));
    expect(noticesOf(answer({ cluster: { hive: false, services: off } }))).toEqual({});
  });

  it('names drivers that do not start at boot, an override included, and volumes without shadow copies', () => {
    const drivers = { storvsc: { start: 3 }, vmbus: { start: 0, override: 3 }, atapi: { start: 0 } };
    expect(noticesOf(answer({ drivers })).DRIVERS_NOT_AT_BOOT).toBe(
      'storvsc starts with 3; vmbus starts with 3; storflt is not there.',
    );
    const volumes = [volume({ FileSystem: 'exFAT' }), volume({ UniqueId: DATA_VOLUME })];
    expect(noticesOf(answer({ volumes })).VOLUMES_UNSHADOWED).toBe('volume C: holds exFAT.');
  });

  it('names teams of NICs: of Windows, and those of a virtual switch', () => {
    const teams = [
      { name: 'チーム1', kind: 'lbfo', members: ['Ethernet0', 'Ethernet1'] },
      { name: 'vSwitch', kind: 'set', members: 'Intel(R) X710' },
    ];
    expect(noticesOf(answer({ teams }))).toEqual({
      NIC_TEAM: 'team チーム1 of Ethernet0, Ethernet1; team in the virtual switch vSwitch of Intel(R) X710.',
    });
  });

  it('names a NIC that has no name after what it is', () => {
    const { facts } = factsOf(answer({ nics: nic({ name: null, mac: null }) }));
    expect(facts.nics[0]?.name).toBe('vmxnet3 Ethernet Adapter');
    expect(factsOf(answer({ nics: null })).facts.nics).toEqual([{ id: 'nic0', name: 'nic0', addresses: [] }]);
  });
});

/**
 * Answers of the inventory script as Windows would give them, written by hand after Microsoft's descriptions of the
 * classes (MSFT_Disk, MSFT_Partition, MSFT_Volume, Win32_EncryptableVolume, ...): no Windows gave them.
 */
const GIB = 1024 ** 3;
export const MIB = 1024 ** 2;
export const OS_VOLUME = '\\\\?\\Volume{3f2504e0-4f89-41d3-9a0c-0305e82c3301}\\';
export const DATA_VOLUME = '\\\\?\\Volume{9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d}\\';
const ESP_VOLUME = '\\\\?\\Volume{6ba7b810-9dad-11d1-80b4-00c04fd430c8}\\';
export const GPT = {
  esp: '{c12a7328-f81f-11d2-ba4b-00a0c93ec93b}',
  msr: '{e3c9e316-0b5c-4db8-817d-f92df00215ae}',
  data: '{ebd0a0a2-b9e5-4433-87c0-68b6b72699c7}',
  recovery: '{de94bba4-06d1-4d40-a16a-bfd50179d6ac}',
  dynamicData: '{af9b60a0-1431-4f62-bc68-3311714a69ad}',
  spaces: '{e75caf8f-f680-4cee-afa3-b001e56efc2d}',
};

export function disk(changes: Record<string, unknown> = {}) {
  return {
    Number: 0,
    FriendlyName: 'VMware Virtual disk',
    SerialNumber: '6000c29f5a3b',
    UniqueId: '6000C29F5A3B7D2E1C4F8A9B0C1D2E3F',
    Size: 60 * GIB,
    LogicalSectorSize: 512,
    PartitionStyle: 2,
    Guid: '{2DB1D4B5-6E8F-4D6C-9F35-8A1F7C7D5E11}',
    Signature: null as number | null,
    BusType: 10,
    IsBoot: true,
    IsSystem: true,
    IsOffline: false,
    IsReadOnly: false,
    IsClustered: false,
    ...changes,
  };
}

export function dataDisk(changes: Record<string, unknown> = {}) {
  return disk({
    Number: 1,
    Size: 200 * GIB,
    Guid: '{0E5A3F60-1B7C-4C6B-8E3D-5D3A1C7F2B22}',
    IsBoot: false,
    IsSystem: false,
    ...changes,
  });
}

export function partition(changes: Record<string, unknown> = {}) {
  return {
    DiskNumber: 0,
    PartitionNumber: 3,
    Offset: 117 * MIB,
    Size: 59 * GIB,
    GptType: GPT.data as string | null,
    MbrType: null as number | null,
    DriveLetter: 'C'.charCodeAt(0),
    AccessPaths: ['C:\\', OS_VOLUME] as unknown,
    IsBoot: true,
    IsSystem: false,
    ...changes,
  };
}

export function dataPartition(changes: Record<string, unknown> = {}) {
  return partition({
    DiskNumber: 1,
    PartitionNumber: 2,
    Offset: 17 * MIB,
    Size: 199 * GIB,
    DriveLetter: 'E'.charCodeAt(0),
    AccessPaths: ['E:\\', DATA_VOLUME],
    IsBoot: false,
    ...changes,
  });
}

const ESP = partition({
  PartitionNumber: 1,
  Offset: MIB,
  Size: 100 * MIB,
  GptType: GPT.esp,
  DriveLetter: 0,
  // Of one element: the element.
  AccessPaths: ESP_VOLUME,
  IsBoot: false,
  IsSystem: true,
});
const MSR = partition({
  PartitionNumber: 2,
  Offset: 101 * MIB,
  Size: 16 * MIB,
  GptType: GPT.msr,
  DriveLetter: 0,
  AccessPaths: null,
  IsBoot: false,
});

export function volume(changes: Record<string, unknown> = {}) {
  return {
    UniqueId: OS_VOLUME,
    DriveLetter: 67,
    DriveType: 3,
    FileSystem: 'NTFS',
    Size: 59 * GIB,
    SizeRemaining: 20 * GIB,
    ...changes,
  };
}

export function nic(changes: Record<string, unknown> = {}) {
  return {
    index: 1,
    name: 'イーサネット',
    description: 'vmxnet3 Ethernet Adapter',
    mac: '00:50:56:AB:12:34',
    addresses: ['192.168.10.21', 'fe80::1c5d:2a:77:1'],
    masks: ['255.255.255.0', '64'],
    // Windows PowerShell 5.1 may write a list so.
    gateways: { value: ['192.168.10.1'], Count: 1 } as unknown,
    dnsServers: ['192.168.10.5', '192.168.10.6'] as unknown,
    dnsDomain: 'corp.example.jp' as string | null,
    dhcp: false,
    metric: 15,
    ...changes,
  };
}

const atBoot = { start: 0, override: null };

/** A Windows Server 2022 in Japanese: one system disk, one data disk, one NIC with a static address. */
export function answer(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    os: {
      name: 'Microsoft Windows Server 2022 Standard ',
      version: '10.0.20348',
      build: '20348',
      productType: 3,
      language: 1041,
      bootedMs: 1_795_000_000_000,
    },
    hostName: 'ap01',
    firmwareType: 2,
    disks: [disk(), dataDisk()],
    partitions: [ESP, MSR, partition(), dataPartition()],
    volumes: [
      volume(),
      volume({ UniqueId: DATA_VOLUME, DriveLetter: 69, FileSystem: 'NTFS' }),
      volume({ UniqueId: ESP_VOLUME, DriveLetter: 0, FileSystem: 'FAT32', Size: 98 * MIB }),
    ],
    bitlocker: [],
    iscsiSessions: [],
    nics: nic(),
    teams: null,
    drivers: {
      storvsc: atBoot,
      vmbus: atBoot,
      storflt: atBoot,
      atapi: { start: 0, override: [] },
    },
    pendingReboot: [],
    cluster: { hive: false, services: [] },
    shares: null,
    timeZone: 'Tokyo Standard Time',
    utcOffsetMinutes: 540,
    clockMs: 1_795_100_000_000,
    diskshadow: true,
    ...changes,
  };
}

/** A Windows Server 2016 in English that boots by BIOS from an MBR disk. */
export function englishMbrAnswer(changes: Record<string, unknown> = {}): Record<string, unknown> {
  const mbr = { PartitionStyle: 1, Guid: null, Signature: 0x1a2b3c4d };
  return answer({
    os: {
      name: 'Microsoft Windows Server 2016 Datacenter',
      version: '10.0.14393',
      build: '14393',
      productType: 2,
      language: 1033,
      bootedMs: 1_795_000_000_001,
    },
    hostName: 'DC1',
    firmwareType: 1,
    // One disk: PowerShell drops the list around it.
    disks: disk(mbr),
    partitions: [
      partition({
        PartitionNumber: 1,
        Offset: MIB,
        Size: 500 * MIB,
        GptType: null,
        MbrType: 7,
        DriveLetter: 0,
        AccessPaths: [ESP_VOLUME],
        IsBoot: false,
        IsSystem: true,
      }),
      partition({ PartitionNumber: 2, Offset: 501 * MIB, GptType: null, MbrType: 7 }),
    ],
    volumes: [volume(), volume({ UniqueId: ESP_VOLUME, DriveLetter: 0 })],
    nics: [
      nic({
        index: 7,
        name: 'Storage',
        addresses: '10.9.0.4',
        masks: '255.255.0.0',
        gateways: null,
        metric: 5,
      }),
      nic({ index: 3, name: 'Ethernet0', dhcp: true }),
    ],
    timeZone: 'UTC',
    utcOffsetMinutes: 0,
    ...changes,
  });
}

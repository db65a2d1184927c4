/** What the master's engine reports of the server it protects. Sizes in bytes. */
export type Firmware = 'bios' | 'uefi';

export interface Volume {
  /** Stable on its master: `<disk id>/<partition number>`. */
  readonly id: string;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** `unknown` when no known file system was found: such a volume is copied whole. */
  readonly fileSystem: 'ext4' | 'ext3' | 'ext2' | 'vfat' | 'ntfs' | 'xfs' | 'swap' | 'unknown';
  readonly label?: string;
  /** Absent when the file system does not tell. */
  readonly usedBytes?: number;
  /** The system volume (boot files or the operating system) cannot be excluded. */
  readonly system: boolean;
}

export interface MasterDisk {
  /** Stable on its master: `disk0`, `disk1`, ... in the order the master lists them; disk0 holds the system. */
  readonly id: string;
  /** Path on the master: an image file or a block device. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly logicalSectorBytes: number;
  readonly partitionTable: 'gpt' | 'mbr' | 'none';
  readonly boot: boolean;
  readonly volumes: readonly Volume[];
  /** What its own partition table calls it, where paths are numbers that change with a reboot (Windows). */
  readonly tableId?: string;
}

export interface MasterNic {
  /** `nic0`, `nic1`, ...; nic0 is the primary. */
  readonly id: string;
  readonly name: string;
  readonly mac?: string;
  readonly addresses: readonly string[];
  /** The same addresses with the length of their prefix, `10.0.0.4/24`; as the next three, only where the system told. */
  readonly networks?: readonly string[];
  readonly gateways?: readonly string[];
  readonly dnsServers?: readonly string[];
  readonly dhcp?: boolean;
}

/** What a master found out about itself that a person must know; src/verify explains each code. */
export interface MasterNotice {
  readonly code: string;
  readonly found: string;
}

export interface MasterInventory {
  readonly hostName: string;
  readonly os: { readonly family: 'linux' | 'windows'; readonly name: string };
  readonly firmware: Firmware;
  readonly disks: readonly MasterDisk[];
  readonly nics: readonly MasterNic[];
  /** The disks that its engine serves over NBD just now; absent when it serves none. */
  readonly nbd?: readonly { readonly diskId: string; readonly uri: string }[];
  /** Of the machine the engine runs on, and another one after each reboot of it; absent where nothing tells. */
  readonly bootId?: string;
  /** IANA's or Windows' name; absent where it was not asked for. */
  readonly timeZone?: string;
  readonly notices?: readonly MasterNotice[];
  /** Its engine can take it off the network (`--fence`); absent: nothing of ours can. */
  readonly fence?: boolean;
  readonly takenAtMs: number;
}

export const GIB = 1024 ** 3;
export const MIB = 1024 ** 2;

/** `\\.\PhysicalDrive0`, `\\?\GLOBALROOT\Device\HarddiskVolumeShadowCopy1`: names of Windows' devices, and of nothing else. */
export function isWindowsDevice(path: string): boolean {
  return /^\\\\[.?]\\/.test(path);
}

/** Managed disks are sized in whole GiB; the replica is never smaller than the master's disk. */
export function replicaSizeGib(masterSizeBytes: number): number {
  return Math.max(1, Math.ceil(masterSizeBytes / GIB));
}

/** Its replica is larger than the disk, so GPT's backup header, which belongs into the last sector, is not there. */
export function growsUnderGpt(disk: Pick<MasterDisk, 'partitionTable' | 'sizeBytes'>): boolean {
  return disk.partitionTable === 'gpt' && replicaSizeGib(disk.sizeBytes) * GIB > disk.sizeBytes;
}

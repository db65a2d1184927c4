import { inputError, type StandbyError } from '../../errors.ts';
import {
  letterOf,
  volumeNameOf,
  type WindowsDisk,
  type WindowsDocument,
  type WindowsPartition,
} from './inventory-document.ts';

/**
 * Which of a Windows server's disks are protected. Promises: a disk that cannot be copied rightly is refused with the
 * reason; what other servers or storage may write to as well is never taken silently, and named.
 */
export interface DiskChoice {
  /** The system disk first. */
  readonly taken: readonly WindowsDisk[];
  /** Disks that stay out, each with the reason. */
  readonly left: readonly LeftDisk[];
}

interface LeftDisk {
  readonly disk: WindowsDisk;
  readonly kind: 'shared' | 'network' | 'other';
  readonly why: string;
}

const BUS = { usb: 7, iscsi: 9, sd: 12, mmc: 13, fileBacked: 15, spaces: 16 } as const;
const STYLE = { mbr: 1, gpt: 2 } as const;
const SECTOR_BYTES = 512;
/** Dynamic disks: two kinds of partition of GPT, one of MBR. */
const DYNAMIC_GPT = ['{5808c8aa-7e8f-42e0-85d2-e1e90434cfb3}', '{af9b60a0-1431-4f62-bc68-3311714a69ad}'];
const DYNAMIC_MBR = 0x42;
const SPACES_GPT = '{e75caf8f-f680-4cee-afa3-b001e56efc2d}';
/** Partitions that no volume needs to stand in: ESP, reserved, recovery; of MBR also a hidden recovery one. */
const RAW_GPT = [
  '{c12a7328-f81f-11d2-ba4b-00a0c93ec93b}',
  '{e3c9e316-0b5c-4db8-817d-f92df00215ae}',
  '{de94bba4-06d1-4d40-a16a-bfd50179d6ac}',
];
const RAW_MBR = 0x27;
/** Of these Windows makes shadow copies. */
const SHADOWED = ['NTFS', 'ReFS'];

export function pathOf({ Number: number }: Pick<WindowsDisk, 'Number'>): string {
  return `\\\\.\\PhysicalDrive${number}`;
}

/** Stays the same when Windows numbers its disks anew. Without a table nothing does. */
export function tableIdOf({ PartitionStyle, Guid, Signature }: WindowsDisk): string | undefined {
  if (PartitionStyle === STYLE.gpt && Guid !== '') return Guid.toLowerCase();
  if (PartitionStyle === STYLE.mbr && Signature) return `mbr-${Signature.toString(16).padStart(8, '0')}`;
  return undefined;
}

/** `named`: paths that a person named; none: every local disk. */
export function chooseDisks(document: WindowsDocument, named: readonly string[]): DiskChoice {
  const unknown = named.filter((path) => !document.disks.some((disk) => isNamed(disk, [path])));
  if (unknown.length > 0) {
    throw inputError(
      'DISK_VANISHED',
      `Windows has no disk ${unknown.join(', ')}.`,
      `It has ${document.disks.map(pathOf).join(', ')}.`,
    );
  }
  const taken: WindowsDisk[] = [];
  const left: LeftDisk[] = [];
  const refused: string[] = [];
  for (const disk of inOrder(document.disks, named)) {
    const isWanted = isNamed(disk, named);
    const elsewhere = reasonToLeave(disk, document);
    const shared = elsewhere?.kind === 'shared' && elsewhere.certain;
    if (named.length > 0 ? !isWanted : elsewhere) {
      left.push({ disk, kind: elsewhere?.kind ?? 'other', why: elsewhere?.why ?? 'it was not named' });
      continue;
    }
    const why = shared ? elsewhere.why : reasonToRefuse(disk, document);
    if (why) refused.push(`${titleOf(disk)}: ${why}`);
    else taken.push(disk);
  }
  if (refused.length > 0) throw diskRefused(refused, taken);
  const system = taken.find(({ IsBoot }) => IsBoot);
  if (!system) throw noSystemDisk(document);
  if (!system.IsSystem) throw spreadSystem(system, document);
  return { taken: [system, ...taken.filter((disk) => disk !== system)], left };
}

export function isRawPartition({ GptType, MbrType }: Pick<WindowsPartition, 'GptType' | 'MbrType'>): boolean {
  return RAW_GPT.includes(GptType.toLowerCase()) || MbrType === RAW_MBR;
}

/** As they were named, so that a disk keeps its place when its number changes; else as Windows numbers them. */
function inOrder(disks: readonly WindowsDisk[], named: readonly string[]): WindowsDisk[] {
  const places = named.map((path) => path.toLowerCase());
  const place = (disk: WindowsDisk) => places.indexOf(pathOf(disk).toLowerCase());
  return [...disks].sort((a, b) => place(a) - place(b) || a.Number - b.Number);
}

export function titleOf(disk: WindowsDisk): string {
  const gib = (disk.Size / 1024 ** 3).toFixed(1);
  return `${pathOf(disk)} (${disk.FriendlyName.trim() || 'no name'}, ${gib} GiB)`;
}

function isNamed(disk: WindowsDisk, named: readonly string[]): boolean {
  return named.some((path) => path.toLowerCase() === pathOf(disk).toLowerCase());
}

/** Left out unless somebody names it. */
function reasonToLeave(
  disk: WindowsDisk,
  document: WindowsDocument,
): { kind: LeftDisk['kind']; why: string; certain?: boolean } | undefined {
  const { BusType, IsBoot, IsClustered, IsOffline } = disk;
  if (IsClustered) {
    const why = 'it belongs to a failover cluster, and its other nodes write to it as well';
    return { kind: 'shared', why, certain: true };
  }
  if (IsBoot) return undefined;
  if (BusType === BUS.iscsi) {
    return { kind: 'network', why: 'it lies behind iSCSI, and a standby would reach for the same target' };
  }
  if (IsOffline) return { kind: 'other', why: 'it is offline, as a shared disk is on the node that waits' };
  if ([BUS.usb, BUS.sd, BUS.mmc].some((bus) => bus === BusType)) {
    return { kind: 'other', why: 'it can be unplugged' };
  }
  if (BusType === BUS.fileBacked)
    return { kind: 'other', why: 'it is a disk file that lies on another disk' };
  if (isClusterpro(document) && !disk.IsSystem) {
    const why =
      'this is a node of CLUSTERPRO, whose switching and mirror partitions Windows does not tell apart';
    return { kind: 'shared', why };
  }
  return undefined;
}

export function isClusterpro({ cluster }: WindowsDocument): boolean {
  return cluster.services.some(({ name, startMode }) => name !== 'ClusSvc' && startMode !== 'Disabled');
}

/** Cannot be copied rightly, whoever asks for it. */
function reasonToRefuse(disk: WindowsDisk, document: WindowsDocument): string | undefined {
  const parts = document.partitions.filter(({ DiskNumber }) => DiskNumber === disk.Number);
  const types = parts.map(({ GptType }) => GptType.toLowerCase());
  if (disk.LogicalSectorSize !== SECTOR_BYTES) {
    return `its sectors have ${disk.LogicalSectorSize} bytes (4Kn); a disk of Azure has ${SECTOR_BYTES}, and what is written with the one cannot be read with the other`;
  }
  if (disk.BusType === BUS.spaces || types.includes(SPACES_GPT)) {
    return 'it is part of Storage Spaces; Azure has no such pool, and its parts mean nothing one by one';
  }
  if (
    types.some((type) => DYNAMIC_GPT.includes(type)) ||
    parts.some(({ MbrType }) => MbrType === DYNAMIC_MBR)
  ) {
    return 'it is a dynamic disk; make it a basic one, or move its volumes';
  }
  if (disk.PartitionStyle !== STYLE.gpt && disk.PartitionStyle !== STYLE.mbr) {
    return 'it has no partition table, so nothing on it can stand still while it is read';
  }
  if (tableIdOf(disk) === undefined)
    return 'its partition table has no identifier, so it cannot be told from others';
  if (disk.IsReadOnly || disk.IsOffline) {
    return `it is ${disk.IsOffline ? 'offline' : 'read-only'}, so Windows makes no shadow copy of it`;
  }
  return encrypted(disk, document);
}

/** Off or suspended: whoever reads needs no key, and what Windows gives is what was written. */
function encrypted(disk: WindowsDisk, document: WindowsDocument): string | undefined {
  for (const { volume, name } of volumesOf(disk, document)) {
    const state = document.bitlocker.find(({ DeviceID }) => DeviceID.toLowerCase() === volume.toLowerCase());
    if (!state) continue;
    const converting = state.ConversionStatus !== undefined && ![0, 1, null].includes(state.ConversionStatus);
    if (state.ProtectionStatus === 0 && !converting) continue;
    return `volume ${name} is protected by BitLocker${converting ? ', or being converted' : ''}; a standby has no TPM with its key: decrypt it, or suspend its protection (manage-bde -protectors -disable ${name} -RebootCount 0)`;
  }
  return undefined;
}

/** Volumes of the disks that Windows makes no shadow copy of; a view needs them left out. */
export function unshadowedVolumes(disks: readonly WindowsDisk[], document: WindowsDocument): string[] {
  return disks.flatMap((disk) =>
    volumesOf(disk, document).flatMap(({ volume, name, isRaw }) => {
      if (isRaw || isShadowed(volume, document)) return [];
      return [
        `volume ${name} holds ${fileSystemOf(volume, document) || 'no file system that Windows knows'}`,
      ];
    }),
  );
}

export function isShadowed(volume: string, document: WindowsDocument): boolean {
  return SHADOWED.includes(fileSystemOf(volume, document));
}

function fileSystemOf(volume: string, { volumes }: WindowsDocument): string {
  return volumes.find(({ UniqueId }) => UniqueId.toLowerCase() === volume.toLowerCase())?.FileSystem ?? '';
}

function volumesOf(disk: WindowsDisk, document: WindowsDocument) {
  return document.partitions.flatMap((partition) => {
    const volume = volumeNameOf(partition);
    if (partition.DiskNumber !== disk.Number || !volume) return [];
    const name = letterOf(partition.DriveLetter) ?? volume;
    return [{ volume, name, isRaw: isRawPartition(partition) }];
  });
}

function diskRefused(refused: readonly string[], taken: readonly WindowsDisk[]): StandbyError {
  const others = taken.map((disk) => `--disk ${pathOf(disk)}`).join(' ');
  return inputError(
    'DISK_REFUSED',
    `These disks cannot be protected. ${refused.join('. ')}.`,
    others
      ? `Change what is said there, or protect the other disks only: ${others}`
      : 'Change what is said there.',
  );
}

function noSystemDisk(document: WindowsDocument): StandbyError {
  const system = document.disks.find(({ IsBoot }) => IsBoot);
  return inputError(
    'SYSTEM_DISK_MISSING',
    'The disk that Windows runs from is not among those to be protected.',
    system ? `Name it too: --disk ${pathOf(system)}` : 'Windows does not say which disk it runs from.',
  );
}

function spreadSystem(boot: WindowsDisk, document: WindowsDocument): StandbyError {
  const system = document.disks.find(({ IsSystem }) => IsSystem);
  return inputError(
    'SYSTEM_SPREAD',
    `Windows lies on ${pathOf(boot)}, but its boot files lie on ${system ? pathOf(system) : 'another disk'}.`,
    'A VM of Azure starts from one disk: put the boot files beside Windows (bcdboot), then join again.',
  );
}

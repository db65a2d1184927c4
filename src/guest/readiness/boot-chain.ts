import type { Verdict } from '../../model/verdict.ts';
import type { GuestDisk, GuestVolume } from '../guest-disk.ts';
import { gptDamage } from '../table-doubt.ts';
import { VolumeBytes } from '../volume.ts';
import { broken, good, unproven } from './fact.ts';

/**
 * From the firmware to the boot loader: which generation of VM starts this disk, and whether what that firmware looks
 * for is there. A new VM's firmware remembers nothing, so only the loader's fallback path counts.
 */
export type Family = 'windows' | 'linux';
export type Generation = 1 | 2;

const ESP_GUID = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b';
const BIOS_BOOT_GUID = '21686148-6449-6e6f-744e-656564454649';
const BOOT_CODE_BYTES = 440;

export interface BootChain {
  readonly generation?: Generation;
  readonly verdicts: readonly Verdict[];
  /** Where the boot loader's own files lie. */
  readonly bootVolume?: GuestVolume;
}

export async function readBootChain(disk: GuestDisk, family: Family): Promise<BootChain> {
  const chain = await bootChain(disk, family);
  return { ...chain, verdicts: [...(await tableVerdicts(disk)), ...chain.verdicts] };
}

/** Azure's disk is larger than the master's: its last sector does not hold the backup that could stand in. */
async function tableVerdicts({ device, table }: GuestDisk): Promise<Verdict[]> {
  if (table.kind !== 'gpt') return [];
  const damage = await gptDamage(new VolumeBytes(device, 0, device.sizeBytes), table.sectorBytes);
  if (!damage) return [good('PARTITION_TABLE', TABLE, 'its checksums are right')];
  const fault = {
    found: damage,
    expected: 'right checksums: the firmware sees no partitions otherwise',
    cure: 'gdisk DISK (v says what is wrong, w writes both tables anew); on Windows its gdisk64',
  };
  return [broken('PARTITION_TABLE', TABLE, fault)];
}

async function bootChain(disk: GuestDisk, family: Family): Promise<BootChain> {
  const { kind } = disk.table;
  const esp = disk.volumes.find(({ partition }) => partition?.type === ESP_GUID);
  if (kind === 'gpt' && esp) {
    const style = good('PARTITION_STYLE', STYLE, 'GPT with an EFI system partition: generation 2');
    return { generation: 2, bootVolume: esp, verdicts: [style, await efiFiles(esp, family)] };
  }
  const mayBeBios = kind === 'mbr' || (kind === 'gpt' && family === 'linux' && hasBiosBoot(disk));
  if (!mayBeBios) {
    const fault = {
      found: kind === 'none' ? 'no partition table' : 'GPT without an EFI system partition',
      expected: 'GPT with an EFI system partition (generation 2), or MBR (generation 1)',
      cure: 'Choose the disk that the master starts from. Windows from GPT: mbr2gpt /validate, or bcdboot with /f UEFI.',
    };
    return { verdicts: [broken('PARTITION_STYLE', STYLE, fault)] };
  }
  const active = disk.volumes.find(({ partition }) => partition?.active);
  if (family === 'windows' && !active) {
    const fault = {
      found: 'MBR without an active partition',
      expected: 'one active partition, with bootmgr in it',
      cure: 'diskpart: select disk 0, select partition 1, active; then bcdboot C:\\Windows /s S: /f BIOS',
    };
    return { generation: 1, verdicts: [broken('PARTITION_STYLE', STYLE, fault)] };
  }
  const found = `${kind.toUpperCase()}${active ? `, ${active.name} is active` : ''}: generation 1`;
  const verdicts = [good('PARTITION_STYLE', STYLE, found), await bootCode(disk, family, active)];
  if (family === 'windows' && active) verdicts.push(await bootManager(active));
  return { generation: 1, verdicts, ...(active ? { bootVolume: active } : {}) };
}

const TABLE = 'Partition table (GPT)';
const STYLE = 'Generation and partition style';
const FILES = 'Boot files';
const CODE = 'Boot code';

function hasBiosBoot({ table }: GuestDisk): boolean {
  return table.partitions.some(({ type }) => type === BIOS_BOOT_GUID);
}

const FALLBACK = 'EFI/Boot/bootx64.efi';
const WINDOWS_MANAGER = 'EFI/Microsoft/Boot/bootmgfw.efi';

async function efiFiles(esp: GuestVolume, family: Family): Promise<Verdict> {
  if (!esp.tree) return unproven('BOOT_FILES', FILES, `${esp.name}: ${esp.unreadable ?? 'not readable'}`);
  const wanted = family === 'windows' ? [FALLBACK, WINDOWS_MANAGER] : [FALLBACK];
  const missing: string[] = [];
  for (const path of wanted) if ((await esp.tree.find(path))?.kind !== 'file') missing.push(path);
  if (missing.length === 0) return good('BOOT_FILES', FILES, `${wanted.join(', ')} on ${esp.name}`);
  return broken('BOOT_FILES', FILES, {
    found: `not on ${esp.name}: ${missing.join(', ')}`,
    expected: `${FALLBACK}: the firmware of a new VM looks for nothing else`,
    cure:
      family === 'windows'
        ? 'mountvol S: /s & bcdboot C:\\Windows /s S: /f UEFI'
        : 'grub-install --target=x86_64-efi --removable (or copy shimx64.efi and grubx64.efi to EFI/BOOT)',
  });
}

/** The first sector's program, what it loads next, and in Windows that of the active partition. */
async function bootCode(disk: GuestDisk, family: Family, active: GuestVolume | undefined): Promise<Verdict> {
  const missing: string[] = [];
  if (await isBlank(disk, 0, BOOT_CODE_BYTES)) missing.push('in the first sector of the disk');
  if (family === 'windows' && active) {
    const sector = Buffer.alloc(512);
    await disk.device.read(sector, active.offsetBytes);
    const hasCode =
      sector.readUInt16LE(510) === 0xaa55 && sector.subarray(0x54, 510).some((byte) => byte !== 0);
    if (!hasCode) missing.push(`in the first sector of ${active.name}`);
  } else if (family === 'linux') {
    const place = disk.table.partitions.find(({ type }) => type === BIOS_BOOT_GUID);
    const at = place ? place.offsetBytes : 512;
    if (await isBlank(disk, at, 512))
      missing.push(place ? 'in the BIOS boot partition' : 'behind the first sector');
  }
  if (missing.length === 0) return good('BOOT_CODE', CODE, 'there');
  return broken('BOOT_CODE', CODE, {
    found: `no boot code ${missing.join(', ')}`,
    expected: 'a program that loads the boot loader',
    cure:
      family === 'windows'
        ? 'bootsect /nt60 SYS /mbr'
        : 'grub-install /dev/sda (the disk that the master starts from)',
  });
}

async function isBlank(disk: GuestDisk, at: number, bytes: number): Promise<boolean> {
  if (at + bytes > disk.device.sizeBytes) return true;
  const sector = Buffer.alloc(bytes);
  await disk.device.read(sector, at);
  return sector.every((byte) => byte === 0);
}

async function bootManager(active: GuestVolume): Promise<Verdict> {
  if (!active.tree)
    return unproven('BOOT_FILES', FILES, `${active.name}: ${active.unreadable ?? 'not readable'}`);
  if (await active.tree.find('bootmgr')) return good('BOOT_FILES', FILES, `bootmgr on ${active.name}`);
  return broken('BOOT_FILES', FILES, {
    found: `no bootmgr on ${active.name}`,
    expected: 'bootmgr in the root of the active partition',
    cure: 'bcdboot C:\\Windows /s S: /f BIOS (S: is the active partition)',
  });
}

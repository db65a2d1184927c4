import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binary, dword, hiveOf, type KeySpec, text, texts, type ValueSpec } from './hive-writer.ts';
import { emptyFile, MIB, run } from './volumes.ts';
import { NTFS_BYTES, NTFS_SECTOR, windowsVolume } from './windows-volume.ts';

/** Small disks that have what a Windows server's disk has, as far as its start in Azure depends on it. */
type Registry = Map<string, Map<string, ValueSpec>>;

export class WindowsRegistry {
  readonly #keys: Registry = new Map();

  set(key: string, value: string, data: ValueSpec): this {
    const values = this.#keys.get(key) ?? new Map<string, ValueSpec>();
    this.#keys.set(key, values.set(value, data));
    return this;
  }

  /** With all keys below it. */
  remove(key: string): this {
    for (const path of [...this.#keys.keys()]) {
      if (path === key || path.startsWith(`${key}\\`)) this.#keys.delete(path);
    }
    return this;
  }

  hive(): Buffer {
    interface Node {
      values: Record<string, ValueSpec>;
      keys: Record<string, Node>;
    }
    const root: Node = { values: {}, keys: {} };
    for (const [path, values] of this.#keys) {
      let node = root;
      for (const name of path.split('\\')) {
        node.keys[name] ??= { values: {}, keys: {} };
        node = node.keys[name];
      }
      Object.assign(node.values, Object.fromEntries(values));
    }
    return hiveOf(root as KeySpec);
  }
}

const DISK_CLASS = 'Control\\Class\\{4d36e967-e325-11ce-bfc1-08002be10318}';
export const SETS = ['ControlSet001', 'ControlSet002'];

/** The SYSTEM hive of a server that is ready. */
export function readyRegistry(): WindowsRegistry {
  const registry = new WindowsRegistry();
  registry.set('Select', 'Current', dword(1)).set('Select', 'Default', dword(1));
  for (const set of SETS) {
    for (const driver of ['storvsc', 'vmbus', 'storflt', 'intelide', 'atapi']) {
      registry
        .set(`${set}\\Services\\${driver}`, 'Start', dword(0))
        .set(`${set}\\Services\\${driver}`, 'Type', dword(1));
    }
    registry.set(`${set}\\Services\\atapi\\StartOverride`, '0', dword(0));
    registry.set(`${set}\\Services\\Dhcp`, 'Start', dword(2));
    registry.set(`${set}\\Services\\partmgr\\Parameters`, 'SanPolicy', dword(1));
    const nic = `${set}\\Services\\Tcpip\\Parameters\\Interfaces\\{11111111-2222-3333-4444-555555555555}`;
    registry.set(nic, 'EnableDHCP', dword(1)).set(nic, 'IPAddress', texts('0.0.0.0'));
    registry.set(`${set}\\${DISK_CLASS}`, 'UpperFilters', texts('partmgr'));
    registry.set(`${set}\\Control\\Session Manager`, 'Name', text('x'));
    const memory = `${set}\\Control\\Session Manager\\Memory Management`;
    registry.set(memory, 'PagingFiles', texts('C:\\pagefile.sys 0 0'));
    registry.set(`${set}\\Control\\Terminal Server`, 'fDenyTSConnections', dword(0));
  }
  return registry;
}

export function softwareHive(major: number, minor: number): Buffer {
  const key = 'Microsoft\\Windows NT\\CurrentVersion';
  const registry = new WindowsRegistry();
  registry.set(key, 'ProductName', text('Windows Server')).set(key, 'CurrentBuild', text('20348'));
  registry.set(key, 'CurrentVersion', text(major === 10 ? '6.3' : `${major}.${minor}`));
  if (major === 10) registry.set(key, 'CurrentMajorVersionNumber', dword(10));
  if (major === 10) registry.set(key, 'CurrentMinorVersionNumber', dword(0));
  return registry.hive();
}

export function bootData(loader: string): Buffer {
  const manager = 'Objects\\{9dea862c-5cdd-4e70-acc1-f32b344d4795}';
  const entry = '{22222222-2222-2222-2222-222222222222}';
  const registry = new WindowsRegistry();
  registry.set(`${manager}\\Description`, 'Type', dword(0x10100002));
  registry.set(`${manager}\\Elements\\23000003`, 'Element', text(entry));
  registry.set(`${manager}\\Elements\\24000001`, 'Element', texts(entry));
  registry.set(`Objects\\${entry}\\Elements\\11000001`, 'Element', binary(Buffer.alloc(88)));
  registry.set(`Objects\\${entry}\\Elements\\12000002`, 'Element', text(`\\Windows\\system32\\${loader}`));
  return registry.hive();
}

const DRIVER_FILES = ['storvsc', 'vmbus', 'vmstorfl', 'intelide', 'pciidex', 'atapi', 'ataport'];
const DISK_BYTES = NTFS_SECTOR * 512 + NTFS_BYTES + 2 * MIB;
const ESP_AT = MIB;
const ESP_BYTES = 16 * MIB;
export const MSR_AT = 17 * MIB;

export interface Ingredients {
  readonly system?: Buffer;
  readonly software?: Buffer;
  readonly bootData?: Buffer;
  /** More files, or other ones; `null` leaves one out. */
  readonly files?: Readonly<Record<string, Buffer | null>>;
}

const bases = new Map<string, Buffer>();

/** The volume without its SYSTEM hive is made once for each set of other files. */
function volumeWith(folder: string, files: Record<string, Buffer>, system: Buffer): Buffer {
  const key = Object.entries(files)
    .map(([path, bytes]) => `${path} ${bytes.toString('base64')}`)
    .join();
  const base = bases.get(key) ?? readFileSync(windowsVolume(folder, files));
  bases.set(key, base);
  const volume = join(folder, 'case.ntfs');
  writeFileSync(volume, base);
  writeFileSync(join(folder, 'case-system'), system);
  run('ntfscp', '-q', '-f', volume, join(folder, 'case-system'), 'Windows/System32/config/SYSTEM');
  return readFileSync(volume);
}

function windowsFiles({ software, files = {} }: Ingredients): Record<string, Buffer> {
  const all: Record<string, Buffer | null> = {
    'Windows/System32/config/SOFTWARE': software ?? softwareHive(10, 0),
    ...Object.fromEntries(
      DRIVER_FILES.map((name) => [`Windows/System32/drivers/${name}.sys`, Buffer.from(`MZ ${name}`)]),
    ),
    ...files,
  };
  return Object.fromEntries(Object.entries(all).filter((one): one is [string, Buffer] => one[1] !== null));
}

/** Generation 2: GPT with ESP, Microsoft reserved and the system's volume. */
export function uefiWindows(folder: string, ingredients: Ingredients = {}, espFiles = ESP_FILES): Buffer {
  const bytes = Buffer.from(withEsp(folder, ingredients.bootData ?? bootData('winload.efi'), espFiles));
  const system = ingredients.system ?? readyRegistry().hive();
  volumeWith(folder, windowsFiles(ingredients), system).copy(bytes, NTFS_SECTOR * 512);
  return bytes;
}

const espDisks = new Map<string, Buffer>();

/** The same files make the same disk, which then is made once. */
function withEsp(folder: string, data: Buffer, espFiles: readonly string[]): Buffer {
  const key = `${espFiles.join()} ${data.toString('base64')}`;
  const made = espDisks.get(key);
  if (made) return made;
  const disk = emptyFile(join(folder, 'windows.img'), DISK_BYTES);
  const msr = ['-n', `2:${MSR_AT / 512}:+16M`, '-t', '2:0c01'];
  const system = ['-n', `3:${NTFS_SECTOR}:+${NTFS_BYTES / MIB}M`, '-t', '3:0700'];
  run('sgdisk', '-a', '1', '-n', `1:2048:+${ESP_BYTES / MIB}M`, '-t', '1:ef00', ...msr, ...system, disk);
  run('mkfs.fat', '-F', '16', '--offset', '2048', disk, `${ESP_BYTES / 1024}`);
  const at = `${disk}@@${ESP_AT}`;
  run('mmd', '-i', at, '::/EFI', '::/EFI/Boot', '::/EFI/Microsoft', '::/EFI/Microsoft/Boot');
  writeFileSync(join(folder, 'loader'), 'MZ');
  for (const path of espFiles) run('mcopy', '-i', at, join(folder, 'loader'), `::/${path}`);
  writeFileSync(join(folder, 'bcd'), data);
  run('mcopy', '-i', at, join(folder, 'bcd'), '::/EFI/Microsoft/Boot/BCD');
  const bytes = readFileSync(disk);
  espDisks.set(key, bytes);
  return bytes;
}

export const ESP_FILES: readonly string[] = ['EFI/Boot/bootx64.efi', 'EFI/Microsoft/Boot/bootmgfw.efi'];

/** Generation 1: MBR with one active partition. */
export function biosWindows(
  folder: string,
  ingredients: Ingredients = {},
  change: { readonly active?: boolean; readonly code?: boolean } = {},
): Buffer {
  const bytes = Buffer.alloc(DISK_BYTES);
  if (change.code !== false) bytes.fill(0x90, 0, 440);
  bytes.writeUInt8(change.active === false ? 0 : 0x80, 446);
  bytes.writeUInt8(7, 450);
  bytes.writeUInt32LE(NTFS_SECTOR, 454);
  bytes.writeUInt32LE(NTFS_BYTES / 512, 458);
  bytes.writeUInt16LE(0xaa55, 510);
  const files = {
    bootmgr: Buffer.from('bootmgr'),
    'Boot/BCD': ingredients.bootData ?? bootData('winload.exe'),
    ...ingredients.files,
  };
  const system = ingredients.system ?? readyRegistry().hive();
  volumeWith(folder, windowsFiles({ ...ingredients, files }), system).copy(bytes, NTFS_SECTOR * 512);
  return bytes;
}

import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dword, texts } from '../guest/hive-writer.ts';
import { MIB, run } from '../guest/volumes.ts';
import { readyRegistry, SETS, uefiWindows } from '../guest/windows-disk.ts';
import { NTFS_BYTES, NTFS_SECTOR } from '../guest/windows-volume.ts';

/**
 * A server's disk as Windows lays it out: GPT, ESP, the Microsoft reserved partition, NTFS with its hives and data. It
 * would not find its disk on Hyper-V (storvsc), nor its address in Azure. There is no Windows here to start: what the
 * firmware starts is a program that says nothing and waits, which is what Windows says on its serial port too.
 */
const NIC = `${SETS[0]}\\Services\\Tcpip\\Parameters\\Interfaces\\{99999999-2222-3333-4444-555555555555}`;
export const FIXED_ADDRESS = '10.9.8.7';
const DATA_MIB = 12;

export function makeWindowsLikeMaster(file: string, folder: string): void {
  const registry = readyRegistry();
  for (const set of SETS) registry.set(`${set}\\Services\\storvsc`, 'Start', dword(3));
  registry.set(NIC, 'EnableDHCP', dword(0)).set(NIC, 'IPAddress', texts(FIXED_ADDRESS));
  const files = { 'Windows/System32/config/DATA': randomBytes(DATA_MIB * MIB) };
  writeFileSync(file, uefiWindows(folder, { system: registry.hive(), files }));
  const loader = join(folder, 'silent.efi');
  writeFileSync(loader, silentProgram());
  run('mcopy', '-o', '-i', `${file}@@1M`, loader, '::/EFI/Boot/bootx64.efi');
}

/** The values that a sealed copy needs otherwise, as `hivexget` reads them in the SYSTEM hive of such a disk. */
export function curedValuesOf(disk: string, folder: string): Record<string, string> {
  const volume = join(folder, 'judged.ntfs');
  const bytes = Buffer.alloc(NTFS_BYTES);
  const from = openSync(disk, 'r');
  readSync(from, bytes, 0, NTFS_BYTES, NTFS_SECTOR * 512);
  closeSync(from);
  writeFileSync(volume, bytes);
  const hive = join(folder, 'judged-system');
  run('sh', '-c', `ntfscat -f ${volume} Windows/System32/config/SYSTEM > ${hive}`);
  const value = (key: string, name: string) => run('hivexget', hive, key, name).trim();
  return {
    storvsc: SETS.map((set) => value(`${set}\\Services\\storvsc`, 'Start')).join(),
    dhcp: value(NIC, 'EnableDHCP'),
    address: value(NIC, 'IPAddress'),
  };
}

/** The smallest image that UEFI loads (PE32+, one section): hlt; jmp to it. */
function silentProgram(): Buffer {
  const image = Buffer.alloc(1024);
  image.write('MZ');
  image.writeUInt32LE(0x40, 0x3c);
  image.write('PE', 0x40);
  const words: readonly (readonly [number, number])[] = [
    [0x44, 0x8664], // x86-64
    [0x46, 1], // sections
    [0x54, 0xf0], // bytes of what follows before the sections
    [0x56, 0x22], // it can be run, anywhere
    [0x58, 0x20b], // PE32+
    [0x9c, 10], // an application of UEFI
  ];
  const doubles: readonly (readonly [number, number])[] = [
    [0x5c, 0x200], // bytes of code
    [0x68, 0x1000], // where it begins, and its section with it
    [0x6c, 0x1000],
    [0x78, 0x1000], // alignments
    [0x7c, 0x200],
    [0x90, 0x2000], // bytes in memory, of the headers
    [0x94, 0x200],
    [0xc4, 16], // directories, all of them empty
    [0x150, 3], // the section: bytes, place in memory, bytes and place in the file, code
    [0x154, 0x1000],
    [0x158, 0x200],
    [0x15c, 0x200],
    [0x16c, 0x60000020],
  ];
  for (const [at, value] of words) image.writeUInt16LE(value, at);
  for (const [at, value] of doubles) image.writeUInt32LE(value, at);
  image.write('.text', 0x148);
  Buffer.from('f4ebfd', 'hex').copy(image, 0x200);
  return image;
}

import { type FileTree, textOf } from '../file-tree.ts';
import type { GuestDisk, GuestVolume } from '../guest-disk.ts';

/** What the boot loader of a Linux server starts, from GRUB's own file or from entries beside it. */
export interface BootEntry {
  /** Where the entry was found. */
  readonly source: string;
  readonly kernel: string;
  readonly initrds: readonly string[];
  readonly options: string;
  /** The volume from whose root its paths count. */
  readonly volume: GuestVolume;
}

const GRUB_FILES = ['boot/grub/grub.cfg', 'boot/grub2/grub.cfg', 'grub/grub.cfg', 'grub2/grub.cfg'];
const ENTRY_FOLDERS = ['boot/loader/entries', 'loader/entries'];
const ENTRIES_MAX = 64;

/** The first entry of each file, which is the one that starts unless somebody chose another. */
export async function readBootEntries(disk: GuestDisk): Promise<BootEntry[]> {
  const entries: BootEntry[] = [];
  for (const volume of disk.volumes) {
    if (!volume.tree) continue;
    for (const path of [...GRUB_FILES, ...(await vendorFiles(volume.tree))]) {
      const text = await textOf(volume.tree, path);
      const entry = text && entryOfGrub(text);
      if (entry) entries.push({ ...entry, source: path, volume });
    }
    for (const folder of ENTRY_FOLDERS) entries.push(...(await entriesOfFolder(volume, volume.tree, folder)));
  }
  return onItsVolume(entries, disk);
}

/** Distributions keep GRUB's file in a folder of their own on the EFI system partition. */
async function vendorFiles(tree: FileTree): Promise<string[]> {
  const vendors = (await tree.list('EFI')) ?? [];
  return vendors.slice(0, ENTRIES_MAX).map((vendor) => `EFI/${vendor}/grub.cfg`);
}

function entryOfGrub(text: string): Pick<BootEntry, 'kernel' | 'initrds' | 'options'> | undefined {
  const lines = text.split('\n').map((line) => line.trim());
  const at = lines.findIndex((line) => /^linux(16|efi)?\s/.test(line));
  if (at < 0) return undefined;
  const [kernel = '', ...options] = (lines[at] ?? '').split(/\s+/).slice(1);
  const following = lines.slice(at + 1, at + 8);
  const end = following.findIndex((line) => /^(}|menuentry|linux)/.test(line));
  const block = end < 0 ? following : following.slice(0, end);
  const initrd = block.find((line) => /^initrd(16|efi)?\s/.test(line));
  return { kernel: plainPath(kernel), initrds: pathsIn(initrd), options: options.join(' ') };
}

function pathsIn(line: string | undefined): string[] {
  return (line ?? '')
    .split(/\s+/)
    .slice(1)
    .filter((path) => path !== '' && !path.startsWith('$'))
    .map(plainPath);
}

/** Without a device before it, such as `($root)` or `(hd0,gpt2)`. */
function plainPath(path: string): string {
  return path.replace(/^\([^)]*\)/, '');
}

async function entriesOfFolder(volume: GuestVolume, tree: FileTree, folder: string): Promise<BootEntry[]> {
  const names = ((await tree.list(folder)) ?? []).filter(
    (name) => name.endsWith('.conf') && !/rescue/.test(name),
  );
  // The highest version is the first in the menu.
  const newest = names.sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))[0];
  const text = newest && (await textOf(tree, `${folder}/${newest}`));
  if (!newest || !text) return [];
  const value = (name: string) => new RegExp(`^${name}\\s+(.*)$`, 'm').exec(text)?.[1]?.trim();
  const kernel = value('linux');
  if (!kernel) return [];
  const initrds = pathsIn(`initrd ${value('initrd') ?? ''}`);
  const options = await withVariables(tree, folder, value('options') ?? '');
  return [{ source: `${folder}/${newest}`, kernel, initrds, options, volume }];
}

/** Some distributions keep the options of all entries in GRUB's environment. */
async function withVariables(tree: FileTree, folder: string, options: string): Promise<string> {
  if (!options.includes('$kernelopts')) return options;
  const environment = await textOf(tree, `${folder.replace('loader/entries', 'grub2')}/grubenv`);
  const shared = /^kernelopts=(.*)$/m.exec(environment ?? '')?.[1] ?? '';
  return options.replace('$kernelopts', () => shared);
}

/** The file may lie on one volume and the kernel on another: the one that has it is right. */
async function onItsVolume(entries: readonly BootEntry[], disk: GuestDisk): Promise<BootEntry[]> {
  const placed: BootEntry[] = [];
  for (const entry of entries) {
    let volume = entry.volume;
    for (const one of [entry.volume, ...disk.volumes]) {
      if (!(await one.tree?.find(entry.kernel))) continue;
      volume = one;
      break;
    }
    placed.push({ ...entry, volume });
  }
  return placed;
}

import type { Verdict } from '../../model/verdict.ts';
import { type FileTree, textOf } from '../file-tree.ts';
import type { GuestDisk } from '../guest-disk.ts';
import { type BootEntry, readBootEntries } from './boot-entries.ts';
import { broken, doubtful, good, unproven } from './fact.ts';
import { initrdNames } from './initrd.ts';

/** The kernel that starts, what its initial RAM disk holds, and what it is told. */
const ENTRY = 'Boot entry';
const DRIVERS = ['hv_vmbus', 'hv_storvsc', 'hv_netvsc'] as const;
/** Found by the names that a kernel of another platform gives, and gone on the next. */
export const UNSTABLE_NAME = /^\/dev\/(sd|vd|xvd|hd|nvme|mmcblk|cciss)/;

export async function kernelVerdicts(disk: GuestDisk, root: FileTree | undefined): Promise<Verdict[]> {
  const entries = await readBootEntries(disk);
  const entry = entries.find(({ options }) => /\broot=/.test(options)) ?? entries[0];
  if (!entry) return [withoutEntry(disk)];
  const missing: string[] = [];
  for (const path of [entry.kernel, ...entry.initrds]) {
    if ((await entry.volume.tree?.find(path))?.kind !== 'file') missing.push(path);
  }
  if (missing.length > 0) {
    const fault = {
      found: `${entry.source} names ${missing.join(', ')}, which is not there`,
      expected: 'a kernel and its initial RAM disk',
      cure: 'update-grub (Debian, Ubuntu) or grub2-mkconfig -o /boot/grub2/grub.cfg',
    };
    return [broken('BOOT_ENTRY', ENTRY, fault)];
  }
  return [
    good('BOOT_ENTRY', ENTRY, `${entry.kernel}, by ${entry.source}`),
    ...(await driverVerdicts(entry, root)),
    rootVerdict(entry, disk),
    consoleVerdict(entry),
  ];
}

function withoutEntry({ volumes }: GuestDisk): Verdict {
  const unread = volumes.filter(
    ({ tree, fileSystem }) => !tree && fileSystem !== 'swap' && fileSystem !== 'lvm',
  );
  if (unread.length > 0) {
    const names = unread.map(({ name, unreadable }) => `${name}: ${unreadable ?? 'not readable'}`);
    return unproven(
      'BOOT_ENTRY',
      ENTRY,
      `no boot configuration where files can be read; ${names.join('; ')}`,
    );
  }
  return broken('BOOT_ENTRY', ENTRY, {
    found: 'no boot configuration on any volume',
    expected: 'grub.cfg with a kernel',
    cure: 'update-grub (Debian, Ubuntu) or grub2-mkconfig -o /boot/grub2/grub.cfg',
  });
}

async function driverVerdicts(entry: BootEntry, root: FileTree | undefined): Promise<Verdict[]> {
  const version = /vmlinu[xz]-(.+)$/.exec(entry.kernel)?.[1];
  const folder = version ? `lib/modules/${version}` : undefined;
  const builtIn =
    folder && root ? moduleNames((await textOf(root, `${folder}/modules.builtin`)) ?? '') : new Set();
  const names: string[] = [];
  let unreadable: string | undefined;
  for (const path of entry.initrds) {
    const file = await entry.volume.tree?.find(path);
    if (!file) continue;
    const found = await initrdNames(file);
    for (const name of found.names) names.push(name);
    unreadable ??= found.unreadable && `${path}: ${found.unreadable}`;
  }
  const inside = moduleNames(names.join('\n'));
  const onRoot =
    folder && root ? moduleNames((await textOf(root, `${folder}/modules.dep`)) ?? '') : new Set();
  return DRIVERS.map((driver) => {
    const code = `INITRD_${driver.toUpperCase()}`;
    const title = `Driver ${driver} at start`;
    if (builtIn.has(driver)) return good(code, title, 'built into the kernel');
    if (inside.has(driver)) return good(code, title, `in ${entry.initrds.join(', ')}`);
    if (unreadable) return unproven(code, title, `not proven: ${unreadable}`);
    // The network comes after the root file system, where its driver may be as well.
    if (driver === 'hv_netvsc' && onRoot.has(driver)) return good(code, title, 'on the root file system');
    return broken(code, title, {
      found: entry.initrds.length > 0 ? `not in ${entry.initrds.join(', ')}` : 'there is no initial RAM disk',
      expected: `${driver} in the initial RAM disk, or built into the kernel`,
      cure:
        `Debian, Ubuntu: echo ${driver} >> /etc/initramfs-tools/modules && update-initramfs -u; ` +
        `others: dracut --force --add-drivers "${DRIVERS.join(' ')}"`,
    });
  });
}

/** Modules by their file names, with `_` for `-` as the kernel has it. */
function moduleNames(lines: string): Set<string> {
  const found = lines.matchAll(/([\w-]+)\.ko(?:\.(?:gz|xz|zst))?(?=[:\s]|$)/gm);
  return new Set([...found].map(([, name]) => (name ?? '').replaceAll('-', '_')));
}

const ROOT = 'Root file system of the boot entry';

function rootVerdict({ options, source }: BootEntry, { volumes }: GuestDisk): Verdict {
  const root = /(?:^|\s)root=(\S+)/.exec(options)?.[1]?.replaceAll('"', '');
  const expected = 'root=UUID=..., LABEL= or a logical volume: names of devices differ in Azure';
  const cure = `In ${source} and its sources (GRUB_DISABLE_LINUX_UUID unset): root=UUID=..., then update-grub`;
  if (!root) return doubtful('ROOT_NAME', ROOT, { found: 'no root= in the boot entry', expected, cure });
  if (UNSTABLE_NAME.test(root)) return broken('ROOT_NAME', ROOT, { found: `root=${root}`, expected, cure });
  const [, kind, value] = /^(UUID|LABEL)=(.*)$/.exec(root) ?? [];
  const isThere = volumes.some(({ uuid, label }) =>
    kind === 'UUID' ? uuid?.toLowerCase() === value?.toLowerCase() : label === value,
  );
  if (kind && !isThere) {
    return broken('ROOT_NAME', ROOT, {
      found: `root=${root}, which no volume of this disk has`,
      expected,
      cure,
    });
  }
  return good('ROOT_NAME', ROOT, `root=${root}`);
}

const CONSOLE = 'Serial console';

function consoleVerdict({ options, source }: BootEntry): Verdict {
  if (/\bconsole=ttyS0\b/.test(options)) return good('CONSOLE', CONSOLE, 'console=ttyS0');
  return doubtful('CONSOLE', CONSOLE, {
    found: `no console=ttyS0 in ${source}`,
    expected: 'console=ttyS0: else the boot log in Azure stays empty when something goes wrong',
    cure: 'GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200n8" in /etc/default/grub, then update-grub',
  });
}

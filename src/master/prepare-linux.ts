import { lstat, readdir, readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { inputError, type StandbyError } from '../errors.ts';
import { UNSTABLE_NAME } from '../guest/readiness/linux-kernel.ts';
import { NIC_NOTER, namedByRules, SYSTEM_RULES } from '../guest/readiness/linux-network.ts';

/**
 * What a Linux master needs to start in Azure and can be given while it works: it only looks, and says which files would
 * become what. Nothing that it does changes how the master itself starts or is reached: drivers are added to its initial
 * RAM disk, a console beside its own, a NIC that it does not have, and devices in fstab get the names that do not change.
 * What it does not know surely how to change is named and left.
 */
export interface FileChange {
  /** From the root of the system, with a leading `/`. */
  readonly path: string;
  readonly code: string;
  readonly text: string;
  /** Undefined: the file is not there. */
  readonly before: string | undefined;
  /** Undefined: the file goes. */
  readonly after: string | undefined;
}

export interface Proposal {
  readonly changes: readonly FileChange[];
  /** What makes them count, in their order. */
  readonly commands: readonly (readonly string[])[];
  readonly left: readonly { readonly code: string; readonly text: string }[];
}

const DRIVERS = ['hv_vmbus', 'hv_storvsc', 'hv_netvsc'];

export async function proposeForLinux(root: string): Promise<Proposal> {
  const system = new System(root);
  if (!(await system.isLinux())) throw noLinux(root);
  const parts = [
    await initialRamDisk(system),
    await serialConsole(system),
    await deviceNames(system),
    await persistentNames(system),
    await nicInAzure(system),
  ];
  return {
    changes: parts.flatMap(({ changes = [] }) => changes),
    commands: parts.flatMap(({ commands = [] }) => commands),
    left: parts.flatMap(({ left = [] }) => left),
  };
}

function noLinux(root: string): StandbyError {
  return inputError(
    'NO_LINUX_THERE',
    `There is no Linux system under ${root}.`,
    'Name the folder that its root file system is mounted on: --root FOLDER',
  );
}

type Part = Partial<Proposal>;

/** Files of a system below its root folder; a link that leads out of it is not followed. */
class System {
  readonly #root: string;

  constructor(root: string) {
    this.#root = resolve(root);
  }

  async isLinux(): Promise<boolean> {
    const signs = ['/etc/os-release', '/usr/lib/os-release', '/etc/fstab'];
    return (await Promise.all(signs.map((path) => this.isThere(path)))).includes(true);
  }

  async isThere(path: string): Promise<boolean> {
    return (await this.#inside(path)) !== undefined;
  }

  /** Undefined when there is no such file, or it is something else than a plain file of its own. */
  async text(path: string): Promise<string | undefined> {
    const place = await this.#inside(path);
    if (!place || !(await lstat(place)).isFile()) return undefined;
    return await readFile(place, 'utf8');
  }

  async list(path: string): Promise<string[]> {
    const place = await this.#inside(path);
    return place ? (await readdir(place).catch(notAFolder)).sort() : [];
  }

  /** UUIDs by device name, as udev keeps them. */
  async uuids(): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const uuid of await this.list('/dev/disk/by-uuid')) {
      const device = await realpath(join(this.#root, 'dev/disk/by-uuid', uuid)).catch(absent);
      if (device) found.set(`/dev/${basename(device)}`, uuid);
    }
    return found;
  }

  async #inside(path: string): Promise<string | undefined> {
    const place = join(this.#root, path);
    const folder = await realpath(dirname(place)).catch(absent);
    const root = await realpath(this.#root).catch(absent);
    if (
      folder === undefined ||
      root === undefined ||
      !`${folder}${sep}`.startsWith(root === sep ? sep : `${root}${sep}`)
    )
      return undefined;
    return (await lstat(place).catch(absent)) ? place : undefined;
  }
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
}

function notAFolder(error: NodeJS.ErrnoException): string[] {
  if (error.code !== 'ENOTDIR') throw error;
  return [];
}

async function initialRamDisk(system: System): Promise<Part> {
  const code = 'INITRD_HV';
  const wanted = await modulesWanted(system);
  if (wanted.length === 0) return {};
  const text = `${wanted.join(', ')} into the initial RAM disk: without them it does not find its disk in Azure`;
  const path = '/etc/initramfs-tools/modules';
  const before = await system.text(path);
  // Its settings stay behind where dracut has taken its place.
  if (before !== undefined && (await hasCommand(system, 'update-initramfs'))) {
    const lines = new Set(before.split('\n').map((line) => line.trim()));
    const missing = wanted.filter((driver) => !lines.has(driver));
    if (missing.length === 0) return {};
    const after = `${before}${before === '' || before.endsWith('\n') ? '' : '\n'}${missing.join('\n')}\n`;
    return {
      changes: [{ path, code, text, before, after }],
      commands: [['update-initramfs', '-u', '-k', 'all']],
    };
  }
  if ((await system.isThere('/etc/dracut.conf.d')) && (await hasCommand(system, 'dracut'))) {
    const file = '/etc/dracut.conf.d/90-standby.conf';
    const was = await system.text(file);
    const after = `# By standby master prepare.\nadd_drivers+=" ${wanted.join(' ')} "\n`;
    if (was === after) return {};
    return {
      changes: [{ path: file, code, text, before: was, after }],
      commands: [['dracut', '--force', '--regenerate-all']],
    };
  }
  return { left: [{ code, text: `${text}. Neither initramfs-tools nor dracut was found.` }] };
}

async function hasCommand(system: System, name: string): Promise<boolean> {
  const places = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'].map((folder) =>
    system.isThere(`${folder}/${name}`),
  );
  return (await Promise.all(places)).includes(true);
}

/** Those that are modules of a kernel of this system; what is built in needs nothing. */
async function modulesWanted(system: System): Promise<string[]> {
  const found = new Set<string>();
  for (const version of await system.list('/lib/modules')) {
    const list = (await system.text(`/lib/modules/${version}/modules.dep`)) ?? '';
    for (const driver of DRIVERS) if (new RegExp(`/${driver}\\.ko[.:\\w]*`).test(list)) found.add(driver);
  }
  return DRIVERS.filter((driver) => found.has(driver));
}

const GRUB = '/etc/default/grub';

async function serialConsole(system: System): Promise<Part> {
  const code = 'CONSOLE';
  const before = await system.text(GRUB);
  if (before === undefined || /\bconsole=ttyS0\b/.test(before)) return {};
  const text = 'console=ttyS0 for the kernel, beside its own console: else the boot log in Azure stays empty';
  const line = /^GRUB_CMDLINE_LINUX="([^"\n$`\\]*)"[ \t]*$/m;
  if (!line.test(before) || !(await hasCommand(system, 'update-grub'))) {
    return {
      left: [
        { code, text: `${text}. By hand, with grubby --update-kernel=ALL --args=console=ttyS0,115200n8` },
      ],
    };
  }
  const after = before.replace(line, (_, options: string) => {
    const own = options.trim();
    return `GRUB_CMDLINE_LINUX="${own}${own ? ' ' : ''}console=tty0 console=ttyS0,115200n8"`;
  });
  return { changes: [{ path: GRUB, code, text, before, after }], commands: [['update-grub']] };
}

const FSTAB = '/etc/fstab';

async function deviceNames(system: System): Promise<Part> {
  const code = 'FSTAB_NAMES';
  const before = await system.text(FSTAB);
  if (before === undefined) return {};
  const uuids = await system.uuids();
  const changed: string[] = [];
  const left: { code: string; text: string }[] = [];
  const lines = before.split('\n').map((line) => {
    const [, indent = '', device = '', rest = ''] = /^(\s*)(\S+)(\s.*)$/.exec(line) ?? [];
    if (device.startsWith('#') || !UNSTABLE_NAME.test(device) || /\bnoauto\b/.test(rest)) return line;
    const uuid = uuids.get(device);
    if (uuid === undefined) {
      left.push({ code, text: `${device} in ${FSTAB} has no UUID that is known here.` });
      return line;
    }
    changed.push(`${device} by its UUID`);
    return `${indent}UUID=${uuid}${rest}`;
  });
  if (changed.length === 0) return { left };
  const text = `${changed.join(', ')}: names of devices differ in Azure, and a mount that fails stops the start`;
  return { changes: [{ path: FSTAB, code, text, before, after: lines.join('\n') }], left };
}

/**
 * Rules that bind names to the master's MACs stay: its own network may be configured by those names. What would name the
 * standby's NIC beside them is silenced.
 */
async function persistentNames(system: System): Promise<Part> {
  const code = 'PERSISTENT_NET';
  const folder = '/etc/udev/rules.d';
  const left: { code: string; text: string }[] = [];
  let hasOwn = false;
  for (const name of await system.list(folder)) {
    if (!/persistent-net/.test(name)) continue;
    const { own, any } = namedByRules((await system.text(`${folder}/${name}`)) ?? '');
    hasOwn ||= own;
    if (any) left.push({ code, text: `${folder}/${name} names any NIC, and so the standby's too.` });
  }
  const path = `${folder}/${NIC_NOTER}`;
  const noters = SYSTEM_RULES.map((one) => system.isThere(`/${one}/${NIC_NOTER}`));
  const isNoted = (await Promise.all(noters)).includes(true) && !(await system.isThere(path));
  if (!hasOwn || !isNoted) return { left };
  const text = 'no name for new NICs: the standby’s would be eth1, because the master’s has eth0';
  const after = '# By standby master prepare: new NICs get no names of their own.\n';
  return { changes: [{ path, code, text, before: undefined, after }], left };
}

/** In netplan and in networkd. */
const OF_ONE_MAC = /macaddress:|MACAddress=/;

/** The NIC is eth0 in Azure. A master that has one of that name keeps what it says about it. */
async function nicInAzure(system: System): Promise<Part> {
  const code = 'NIC_NAMES';
  const text = 'eth0 takes its address by DHCP: the NIC has that name in Azure, and the master has none';
  const interfaces = (await system.text('/etc/network/interfaces')) ?? '';
  const own = [
    ...(await textsIn(system, '/etc/network/interfaces.d')),
    ...(await textsIn(system, '/etc/netplan')),
    ...(await textsIn(system, '/etc/systemd/network')),
    interfaces,
  ];
  const speaks = own.filter((one) => /\beth0\b|\be(th?)?\*|Name=\*|Type=ether/.test(one));
  if (speaks.length > 0 && speaks.every((one) => OF_ONE_MAC.test(one))) {
    return { left: [{ code, text: 'What is said of eth0 holds for the MAC of the master only.' }] };
  }
  if (speaks.length > 0 || (await system.isThere('/sys/class/net/eth0'))) return {};
  const made = (path: string, after: string): Part => ({
    changes: [{ path, code, text, before: undefined, after: `# By standby master prepare.\n${after}` }],
  });
  if ((await textsIn(system, '/etc/netplan')).some((one) => one.trim() !== '')) {
    return made(
      '/etc/netplan/90-standby.yaml',
      'network:\n  ethernets:\n    eth0:\n      dhcp4: true\n      optional: true\n',
    );
  }
  if (/^\s*source(-directory)?\s+\/etc\/network\/interfaces\.d/m.test(interfaces)) {
    return made('/etc/network/interfaces.d/standby-eth0', 'allow-hotplug eth0\niface eth0 inet dhcp\n');
  }
  if (/^\s*iface\s/m.test(interfaces.replace(/^\s*iface\s+lo\s.*$/gm, ''))) {
    const path = '/etc/network/interfaces';
    const after = `${interfaces.replace(/\n?$/, '\n')}\n# By standby master prepare.\nallow-hotplug eth0\niface eth0 inet dhcp\n`;
    return { changes: [{ path, code, text, before: interfaces, after }] };
  }
  if ((await textsIn(system, '/etc/systemd/network')).some((one) => /^\[Match\]/m.test(one))) {
    return made('/etc/systemd/network/90-standby.network', '[Match]\nName=eth0\n\n[Network]\nDHCP=yes\n');
  }
  return {};
}

async function textsIn(system: System, folder: string): Promise<string[]> {
  const texts: string[] = [];
  for (const name of await system.list(folder)) texts.push((await system.text(`${folder}/${name}`)) ?? '');
  return texts;
}

import type { Verdict } from '../../model/verdict.ts';
import { type FileTree, textOf } from '../file-tree.ts';
import { broken, doubtful, good } from './fact.ts';

/** Whether the standby's NIC, eth0 on Hyper-V, gets its address by DHCP. */
interface Nic {
  readonly source: string;
  /** A name or a pattern; `*` where the file holds for any NIC. */
  readonly name: string;
  readonly how: 'dhcp' | 'static';
  /** It holds for the NIC with this MAC only, which is the master's. */
  readonly mac?: string | undefined;
}

const FILES_MAX = 200;
const NIC_IN_AZURE = 'eth0';

export async function networkVerdicts(root: FileTree): Promise<Verdict[]> {
  const nics = [
    ...(await interfaces(root)),
    ...(await each(root, 'etc/netplan', '.yaml', netplan)),
    ...(await each(root, 'etc/sysconfig/network-scripts', '', ifcfg)),
    ...(await each(root, 'etc/sysconfig/network', '', ifcfg)),
    ...(await each(root, 'etc/NetworkManager/system-connections', '.nmconnection', networkManager)),
    ...(await each(root, 'etc/systemd/network', '.network', networkd)),
  ];
  return [await dhcpVerdict(root, nics), nameVerdict(nics), await persistentVerdict(root)];
}

const DHCP = 'Address by DHCP';

async function dhcpVerdict(root: FileTree, nics: readonly Nic[]): Promise<Verdict> {
  const fixed = nics.filter(({ how }) => how === 'static');
  const text = nics.map(({ name, how, source }) => `${name} ${how} (${source})`).join(', ');
  if (nics.length > 0 && fixed.length === 0) return good('DHCP', DHCP, text);
  const byDefault = nics.length === 0 && (await root.find('etc/NetworkManager')) !== undefined;
  if (byDefault) return good('DHCP', DHCP, 'NetworkManager, without a configuration of its own');
  const ownStatic = fixed.filter(({ name, mac }) => !mac && matches(name, NIC_IN_AZURE));
  if (ownStatic.length > 0) {
    return doubtful('DHCP', DHCP, {
      found: text,
      expected: `DHCP for ${NIC_IN_AZURE}: the standby keeps the fixed address, and is reached only where its NIC in Azure has this very one, in a subnet with the same prefix and gateway`,
      cure: `DHCP in ${ownStatic.map(({ source }) => source).join(', ')}, with a reservation that keeps the master’s address; nothing of Standby changes it. Else give the scenario this address, in such a subnet.`,
    });
  }
  return doubtful('DHCP', DHCP, {
    found: text || 'no network configuration was found',
    expected: 'DHCP: the address is given to the NIC in Azure, not inside the server',
    cure: `Set the NIC to DHCP${fixed.length ? ` in ${fixed.map(({ source }) => source).join(', ')}` : ''}; the scenario keeps the address.`,
  });
}

const NAMES = 'Names of NICs';

function nameVerdict(nics: readonly Nic[]): Verdict {
  const isFound = nics.some(({ name, mac }) => !mac && matches(name, NIC_IN_AZURE));
  if (nics.length === 0 || isFound) return good('NIC_NAMES', NAMES, `nothing stands against ${NIC_IN_AZURE}`);
  return broken('NIC_NAMES', NAMES, {
    found: `only ${[...new Set(nics.map(({ name, mac }) => (mac ? `${name} with the MAC ${mac}` : name)))].join(', ')}`,
    expected: `${NIC_IN_AZURE}, or a pattern that fits it: the NIC has that name in Azure`,
    cure: `Add ${NIC_IN_AZURE} with DHCP to the network configuration, marked as optional and without a MAC.`,
  });
}

function matches(pattern: string, name: string): boolean {
  const escaped = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${escaped}$`).test(name);
}

const PERSISTENT = 'Persistent names of NICs';
const RULES = 'etc/udev/rules.d';
/** Of older distributions: it notes every NIC that it sees, so that the standby's becomes eth1 beside the master's eth0. */
export const NIC_NOTER = '75-persistent-net-generator.rules';
export const SYSTEM_RULES = ['lib/udev/rules.d', 'usr/lib/udev/rules.d'];

/** Whose NICs the rules of udev name: only the master's, by what does not follow, or any. */
export function namedByRules(text: string): { readonly own: boolean; readonly any: boolean } {
  const lines = text.split('\n').filter((line) => /^\s*[^#\s].*NAME:?="/.test(line));
  const isOwn = (line: string) => /ATTRS?\{address\}=="|KERNELS=="|ENV\{ID_PATH\}=="/.test(line);
  return { own: lines.some(isOwn), any: !lines.every(isOwn) };
}

async function persistentVerdict(root: FileTree): Promise<Verdict> {
  const rules = ((await root.list(RULES)) ?? []).filter((name) => /persistent-net/.test(name));
  const any: string[] = [];
  const own: string[] = [];
  for (const name of rules.slice(0, FILES_MAX)) {
    const named = namedByRules((await textOf(root, `${RULES}/${name}`)) ?? '');
    if (named.any) any.push(name);
    if (named.own) own.push(name);
  }
  if (any.length > 0) {
    return doubtful('PERSISTENT_NET', PERSISTENT, {
      found: `${RULES}/${any.join(', ')} names any NIC`,
      expected: `no rule that gives the standby’s NIC another name than ${NIC_IN_AZURE}`,
      cure: `In /${RULES}/${any.join(`, /${RULES}/`)}: ATTR{address}=="MAC of the master" for each rule.`,
    });
  }
  if (own.length > 0 && (await notesNics(root, rules))) {
    return doubtful('PERSISTENT_NET', PERSISTENT, {
      found: `${RULES}/${own.join(', ')}, and udev adds a name for each new NIC`,
      expected: `the standby’s NIC keeps the name ${NIC_IN_AZURE}`,
      cure: `touch /${RULES}/${NIC_NOTER}`,
    });
  }
  return good(
    'PERSISTENT_NET',
    PERSISTENT,
    own.length > 0 ? `${own.join(', ')}: for NICs of the master only, which do not follow` : 'no rules',
  );
}

/** A file of the same name in /etc stands in for the system's own. */
async function notesNics(root: FileTree, rules: readonly string[]): Promise<boolean> {
  if (rules.includes(NIC_NOTER)) return false;
  for (const folder of SYSTEM_RULES) if (await root.find(`${folder}/${NIC_NOTER}`)) return true;
  return false;
}

type Reader = (text: string, file: string) => Omit<Nic, 'source'>[];

async function each(root: FileTree, folder: string, ending: string, read: Reader): Promise<Nic[]> {
  const names = ((await root.list(folder)) ?? []).filter((name) => name.endsWith(ending)).sort();
  const nics: Nic[] = [];
  for (const name of names.slice(0, FILES_MAX)) {
    const source = `${folder}/${name}`;
    const text = await textOf(root, source);
    if (text !== undefined)
      nics.push(...read(withoutComments(text), name).map((nic) => ({ ...nic, source })));
  }
  return nics;
}

function withoutComments(text: string): string {
  return text.replace(/^\s*[#;].*$/gm, '');
}

async function interfaces(root: FileTree): Promise<Nic[]> {
  const read: Reader = (text) =>
    [...text.matchAll(/^\s*iface\s+(\S+)\s+inet\s+(dhcp|static)/gm)].map(([, name = '', how]) => ({
      name,
      how: how as Nic['how'],
    }));
  const own = await textOf(root, 'etc/network/interfaces');
  const source = 'etc/network/interfaces';
  return [
    ...(own === undefined ? [] : read(withoutComments(own), '').map((nic) => ({ ...nic, source }))),
    ...(await each(root, 'etc/network/interfaces.d', '', read)),
  ];
}

/** Names stand one level below `ethernets:`; `match: name:` counts instead where it is given. */
function netplan(text: string): Omit<Nic, 'source'>[] {
  const block = /^( *)ethernets:\s*\n((?:(?:\1 +.*|\s*)\n?)*)/m.exec(text)?.[2] ?? '';
  const indent = /^( +)\S/m.exec(block)?.[1]?.length ?? 0;
  const parts = block.split(new RegExp(`^ {${indent}}(?=\\S)`, 'm')).filter((part) => /^[^\s:]+:/.test(part));
  return parts.map((part) => {
    const own = /^"?([^\s":]+)"?:/.exec(part)?.[1] ?? '*';
    const match = /match:\s*\n?\s*\{?\s*name:\s*"?([^\s"}]+)/.exec(part)?.[1];
    const isDhcp = /dhcp4:\s*(true|yes|on)\b/i.test(part);
    const mac = /macaddress:\s*["']?([\da-fA-F:]+)/.exec(part)?.[1];
    return { name: match ?? own, how: isDhcp || !/addresses:/.test(part) ? 'dhcp' : 'static', mac };
  });
}

function ifcfg(text: string, file: string): Omit<Nic, 'source'>[] {
  const name = /^ifcfg-(.+)$/.exec(file)?.[1];
  if (!name || name === 'lo' || /~|\.bak|\.orig|\.rpm/.test(file)) return [];
  const value = (key: string) => new RegExp(`^\\s*${key}=["']?([^"'\\s]*)`, 'm').exec(text)?.[1];
  const isDhcp = /dhcp/i.test(value('BOOTPROTO') ?? '');
  const how = isDhcp || !value('IPADDR') ? 'dhcp' : 'static';
  return [{ name: value('DEVICE') ?? name, how, mac: value('HWADDR') || undefined }];
}

function networkManager(text: string): Omit<Nic, 'source'>[] {
  if (!/^type=(ethernet|802-3-ethernet)/m.test(text)) return [];
  const name = /^interface-name=(\S+)/m.exec(text)?.[1] ?? '*';
  const ipv4 = /^\[ipv4\]([\s\S]*?)(?=^\[|(?![\s\S]))/m.exec(text)?.[1] ?? '';
  const mac = /^mac-address=(\S+)/m.exec(text)?.[1];
  return [{ name, how: /^method=manual/m.test(ipv4) ? 'static' : 'dhcp', mac }];
}

function networkd(text: string): Omit<Nic, 'source'>[] {
  const names = /^Name=(.*)$/m.exec(text)?.[1]?.trim().split(/\s+/) ?? ['*'];
  const how = /^DHCP=(yes|true|ipv4|both)/m.test(text) || !/^Address=/m.test(text) ? 'dhcp' : 'static';
  const mac = /^(?:Permanent)?MACAddress=(\S+)/m.exec(text)?.[1];
  return names.map((name) => ({ name, how, mac }));
}

import type { Verdict } from '../../model/verdict.ts';
import { type FileTree, textOf } from '../file-tree.ts';
import type { GuestDisk, GuestVolume } from '../guest-disk.ts';
import { type BootChain, readBootChain } from './boot-chain.ts';
import { broken, doubtful, good, judged, told, unproven } from './fact.ts';
import { linuxLeftBehind } from './left-behind.ts';
import { kernelVerdicts, UNSTABLE_NAME } from './linux-kernel.ts';
import { networkVerdicts } from './linux-network.ts';

/** Whether Linux on this disk would start in Azure, read from its files; nothing is started. */
export async function linuxFacts(disk: GuestDisk) {
  const chain = await judged(
    () => readBootChain(disk, 'linux'),
    (why): BootChain => ({ verdicts: [unproven('BOOT_FILES', 'Boot files', why)] }),
  );
  const { generation } = chain;
  const root = await judged(
    () => rootVolume(disk),
    () => undefined,
  );
  const kernel = await judged(
    () => kernelVerdicts(disk, root?.tree),
    (why) => [unproven('BOOT_ENTRY', 'Boot entry', why)],
  );
  const verdicts: Verdict[] = [...chain.verdicts, ...kernel];
  const tree = root?.tree;
  if (!tree) {
    const unread = disk.volumes
      .filter((one) => !one.tree)
      .map((one) => `${one.name}: ${one.unreadable ?? 'no files'}`);
    verdicts.push(unproven('ROOT_FILES', 'Files of the root file system', unread.join('; ') || 'not found'));
    return { name: 'Linux', generation, verdicts };
  }
  for (const act of [
    () => fstabVerdicts(tree),
    () => networkVerdicts(tree),
    () => linuxLeftBehind(tree),
    () => agentVerdicts(tree),
  ]) {
    verdicts.push(
      ...(await judged(act, (why) => [unproven('ROOT_FILES', 'Files of the root file system', why)])),
    );
  }
  verdicts.push(journalVerdict(disk));
  const name = await judged(
    () => releaseOf(tree),
    () => 'Linux',
  );
  return { name, generation, verdicts };
}

async function releaseOf(tree: FileTree): Promise<string> {
  const release = (await textOf(tree, 'etc/os-release')) ?? (await textOf(tree, 'usr/lib/os-release'));
  return /^PRETTY_NAME="?([^"\n]*)/m.exec(release ?? '')?.[1] ?? 'Linux';
}

/** The volume with an fstab, or else with the folder that it would be in. */
async function rootVolume({ volumes }: GuestDisk): Promise<GuestVolume | undefined> {
  const candidates = volumes.filter(({ fileSystem, tree }) => tree && fileSystem.startsWith('ext'));
  for (const path of ['etc/fstab', 'etc', 'sbin']) {
    for (const volume of candidates) if (await volume.tree?.find(path)) return volume;
  }
  return undefined;
}

const NAMES = 'Devices in fstab';
const NETWORK = 'Network mounts in fstab';
const NETWORK_TYPES = new Set(['nfs', 'nfs4', 'cifs', 'smb3', 'glusterfs', 'ceph']);

async function fstabVerdicts(tree: FileTree): Promise<Verdict[]> {
  const text = (await textOf(tree, 'etc/fstab')) ?? '';
  const lines = text
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([device]) => device && !device.startsWith('#'))
    .map(([device = '', target = '', type = '', options = '']) => ({
      device,
      target,
      type,
      options: options.split(','),
    }))
    .filter(({ options }) => !options.includes('noauto'));
  const named = lines.filter(({ device }) => UNSTABLE_NAME.test(device));
  const hard = named.filter(({ options }) => !options.includes('nofail'));
  const list = (some: typeof lines) => some.map(({ device, target }) => `${device} on ${target}`).join(', ');
  const fault = {
    found: list(named),
    expected: 'UUID= or LABEL=: names of devices differ in Azure, and a mount that fails stops the start',
    cure: 'Replace them in /etc/fstab by UUID=..., which blkid tells.',
  };
  const remote = lines.filter(({ type, options }) => NETWORK_TYPES.has(type) && !options.includes('nofail'));
  return [
    named.length === 0
      ? good('FSTAB_NAMES', NAMES, lines.length > 0 ? 'by UUID, label or logical volume' : 'no mounts')
      : (hard.length > 0 ? broken : doubtful)('FSTAB_NAMES', NAMES, fault),
    remote.length === 0
      ? good('FSTAB_NETWORK', NETWORK, 'none that the start waits for')
      : doubtful('FSTAB_NETWORK', NETWORK, {
          found: list(remote),
          expected: 'the option nofail: a server that is not reachable from Azure would hold the start up',
          cure: 'Add nofail,_netdev to their options in /etc/fstab.',
        }),
  ];
}

async function agentVerdicts(tree: FileTree): Promise<Verdict[]> {
  const found: string[] = [];
  for (const path of ['usr/sbin/waagent', 'usr/bin/cloud-init']) {
    if (await tree.find(path)) found.push(path.replace(/.*\//, ''));
  }
  return [told('CLOUD_AGENT', 'Azure Linux agent', found.join(', ') || 'not installed')];
}

function journalVerdict({ volumes }: GuestDisk): Verdict {
  const open = volumes.filter(({ needsRecovery }) => needsRecovery).map(({ name }) => name);
  const found =
    open.length > 0 ? `not replayed on ${open.join(', ')}: files were read as they stand` : 'empty';
  return told('JOURNALS', 'Journals of file systems', found);
}

import type { Verdict } from '../../model/verdict.ts';
import type { FileTree } from '../file-tree.ts';
import type { GuestDisk, GuestVolume } from '../guest-disk.ts';
import type { Hive } from '../hive.ts';
import { type BootChain, readBootChain } from './boot-chain.ts';
import { broken, doubtful, good, judged, told, unproven } from './fact.ts';
import { windowsLeftBehind } from './left-behind.ts';
import { bootDataVerdict } from './windows-boot-data.ts';
import { driverVerdicts } from './windows-drivers.ts';
import { type ControlSet, controlSetsOf, currentSetOf, type LoadedHive, loadHive } from './windows-hive.ts';
import { dhcpVerdict, remoteVerdicts, staticAddressVerdict, teamVerdicts } from './windows-network.ts';
import {
  bitLockerVerdict,
  filterVerdict,
  pageFileVerdict,
  renamesVerdict,
  sanPolicyVerdict,
  toolsVerdict,
} from './windows-storage.ts';

/** Whether Windows on this disk would start in Azure, read from its hives and folders; nothing is started. */
export const CONFIG = 'Windows/System32/config';

export interface WindowsSystem {
  readonly volume: GuestVolume;
  readonly tree: FileTree;
}

/** The volume with a SYSTEM hive is that of the operating system. */
export async function findWindows(disk: GuestDisk): Promise<WindowsSystem | undefined> {
  for (const volume of disk.volumes) {
    const { tree } = volume;
    if (volume.fileSystem !== 'ntfs' || !tree) continue;
    const isThere = await judged(
      async () => (await tree.find(`${CONFIG}/SYSTEM`)) !== undefined,
      () => false,
    );
    if (isThere) return { volume, tree };
  }
  return undefined;
}

export async function windowsFacts(disk: GuestDisk, system: WindowsSystem) {
  const { tree } = system;
  const chain = await judged(
    () => readBootChain(disk, 'windows'),
    (why): BootChain => ({ verdicts: [unproven('BOOT_FILES', 'Boot files', why)] }),
  );
  const { bootVolume, generation } = chain;
  const verdicts: Verdict[] = [...chain.verdicts];
  if (bootVolume && generation) {
    const data = () => bootDataVerdict(bootVolume, generation);
    verdicts.push(await judged(data, (why) => unproven('BCD', 'Boot configuration (BCD)', why)));
  }
  const version = await judged(
    () => versionOf(tree),
    () => UNKNOWN,
  );
  const registry = await judged(
    () => registryVerdicts(disk, system, version, generation),
    (why) => [broken('SYSTEM_HIVE', 'SYSTEM hive', { ...WITHOUT_REGISTRY, found: why })],
  );
  return { name: version.name, generation, verdicts: [...verdicts, ...registry] };
}

const WITHOUT_REGISTRY = {
  found: 'no control set',
  expected: 'a hive that can be read, with ControlSet001 in it',
  cure: 'Restart the master once; restore its registry where it does not start.',
};

async function registryVerdicts(
  disk: GuestDisk,
  { volume, tree }: WindowsSystem,
  version: Version,
  generation: BootChain['generation'],
): Promise<Verdict[]> {
  const system = await loadHive(tree, `${CONFIG}/SYSTEM`);
  const current = system && currentSetOf(system.hive);
  if (!system || !current) return [broken('SYSTEM_HIVE', 'SYSTEM hive', WITHOUT_REGISTRY)];
  const { hive } = system;
  const sets = controlSetsOf(hive);
  return [
    hiveVerdict(system),
    good('CONTROL_SETS', 'Control sets', setsText(sets, current)),
    ...(await driverVerdicts(hive, sets, tree, generation)),
    dhcpVerdict(hive, sets),
    staticAddressVerdict(hive, current),
    ...teamVerdicts(hive, current),
    ...(await windowsLeftBehind(hive, current, tree)),
    sanPolicyVerdict(hive, current),
    await filterVerdict(hive, current, tree),
    toolsVerdict(hive, current),
    pageFileVerdict(hive, current),
    bitLockerVerdict(disk.volumes, volume),
    renamesVerdict(hive, current),
    ...acpiVerdicts(hive, current, version),
    ...remoteVerdicts(hive, current),
    agentVerdict(hive, current),
    told('WINDOWS_VERSION', 'Windows', version.name),
  ];
}

/** Windows that nobody can look into. */
export function lockedFacts(disk: GuestDisk): Verdict[] {
  return [bitLockerVerdict(disk.volumes, undefined)];
}

function setsText(sets: readonly ControlSet[], current: ControlSet): string {
  return `${sets.map(({ name }) => name).join(', ')}; ${current.name} is next`;
}

function hiveVerdict({ state, entries, why }: LoadedHive): Verdict {
  const title = 'State of the SYSTEM hive';
  if (state === 'clean') return good('HIVE_STATE', title, 'closed cleanly');
  if (state === 'replayed')
    return good('HIVE_STATE', title, `in use; ${entries} entries of its logs were replayed`);
  return doubtful('HIVE_STATE', title, {
    found: `in use, and its logs could not be replayed. ${why ?? ''}`.trim(),
    expected: 'closed cleanly, or with logs that can be replayed',
    cure: 'Take a bookmark on the master (application-consistent), or shut it down once, and look again.',
  });
}

interface Version {
  readonly name: string;
  readonly major: number;
  readonly minor: number;
}

const UNKNOWN: Version = { name: 'Windows of an unknown version', major: 0, minor: 0 };

async function versionOf(tree: FileTree): Promise<Version> {
  const software = await loadHive(tree, `${CONFIG}/SOFTWARE`);
  const key = software?.hive.key('Microsoft\\Windows NT\\CurrentVersion');
  if (!software || !key) return UNKNOWN;
  const { hive } = software;
  const old = /^(\d+)\.(\d+)$/.exec(hive.text(key, 'CurrentVersion') ?? '');
  const major = hive.number(key, 'CurrentMajorVersionNumber') ?? Number(old?.[1] ?? 0);
  const minor = hive.number(key, 'CurrentMinorVersionNumber') ?? Number(old?.[2] ?? 0);
  const build = hive.text(key, 'CurrentBuild');
  const product = hive.text(key, 'ProductName') ?? 'Windows';
  return { name: `${product} (${major}.${minor}${build ? `, build ${build}` : ''})`, major, minor };
}

/** Today's hosts name two ACPI devices anew; 2012 and 2012 R2 know them only by keys that a new host has to make. */
function acpiVerdicts(hive: Hive, set: ControlSet, { major, minor }: Version): Verdict[] {
  if (major !== 6 || (minor !== 2 && minor !== 3)) return [];
  const title = 'ACPI devices of today’s hosts';
  const missing = ['MSFT1000', 'MSFT1002'].filter((name) => !hive.key(`Enum\\ACPI\\${name}`, set.key));
  if (missing.length === 0) return [good('ACPI_DEVICES', title, 'MSFT1000 and MSFT1002 are known')];
  return [
    doubtful('ACPI_DEVICES', title, {
      found: `Enum\\ACPI has no ${missing.join(' and no ')}`,
      expected: 'both: without them Windows Server 2012 and 2012 R2 may stop with 0x7B on hosts of today',
      cure: 'Upgrade to Windows Server 2019 or later. That it starts cannot be proven here: make a drill in Azure.',
    }),
  ];
}

function agentVerdict(hive: Hive, set: ControlSet): Verdict {
  const names = ['WindowsAzureGuestAgent', 'RdAgent'].filter((name) =>
    hive.key(`Services\\${name}`, set.key),
  );
  return told('CLOUD_AGENT', 'Azure VM agent', names.length > 0 ? names.join(', ') : 'not installed');
}

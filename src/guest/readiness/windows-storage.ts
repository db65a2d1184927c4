import type { Verdict } from '../../model/verdict.ts';
import type { FileTree } from '../file-tree.ts';
import type { GuestVolume } from '../guest-disk.ts';
import type { Hive } from '../hive.ts';
import { broken, doubtful, type Fault, good } from './fact.ts';
import type { ControlSet } from './windows-hive.ts';

/** Disks, volumes and what stands in their way at the first start in Azure. */
export const ONLINE_ALL = 1;
export const PARTITION_MANAGER = 'Services\\partmgr\\Parameters';
const SAN = 'SAN policy';

export function sanPolicyVerdict(hive: Hive, set: ControlSet): Verdict {
  const policy = hive.number(hive.key(PARTITION_MANAGER, set.key), 'SanPolicy');
  if (policy === ONLINE_ALL) return good('SAN_POLICY', SAN, '1 (all disks online)');
  return doubtful('SAN_POLICY', SAN, {
    found: policy === undefined ? 'not set' : `${policy}`,
    expected: '1 (all disks online): data disks are new to the standby and would stay offline',
    cure: 'diskpart: san policy=OnlineAll',
  });
}

const CLASSES = {
  disk: '{4d36e967-e325-11ce-bfc1-08002be10318}',
  volume: '{71a27cdd-812a-11d0-bec7-08002be2092f}',
} as const;
/** What Windows itself puts there. */
const OF_WINDOWS = new Set(
  'partmgr volsnap fvevol rdyboost iorate ehstorclass volume volmgr disk diskperf storqosflt vmstorfl mpio msdsm'.split(
    ' ',
  ),
);
const FILTERS = 'Filter drivers of disks and volumes';

export async function filterVerdict(hive: Hive, set: ControlSet, tree: FileTree): Promise<Verdict> {
  const found: string[] = [];
  const missing: string[] = [];
  for (const [kind, guid] of Object.entries(CLASSES)) {
    const key = hive.key(`Control\\Class\\${guid}`, set.key);
    const names = [...hive.texts(key, 'UpperFilters'), ...hive.texts(key, 'LowerFilters')];
    for (const name of names.filter((one) => !OF_WINDOWS.has(one.toLowerCase()))) {
      found.push(`${name} (${kind})`);
      if (!(await driverFile(hive, set, tree, name))) missing.push(name);
    }
  }
  if (found.length === 0) return good('FILTER_DRIVERS', FILTERS, 'none but those of Windows');
  const fault: Fault = {
    found: `${found.join(', ')}${missing.length ? `; no driver file: ${missing.join(', ')}` : ''}`,
    expected: 'filters that Windows brings, or filters that are known to start on Hyper-V',
    cure: 'Uninstall the product that brought them, or prove with a drill that the standby starts with them.',
  };
  // Windows does not start the device of a filter that it cannot load: the system disk with it.
  return missing.length > 0
    ? broken('FILTER_DRIVERS', FILTERS, fault)
    : doubtful('FILTER_DRIVERS', FILTERS, fault);
}

async function driverFile(hive: Hive, set: ControlSet, tree: FileTree, name: string): Promise<boolean> {
  const image = hive.text(hive.key(`Services\\${name}`, set.key), 'ImagePath');
  const path = (image ?? `System32\\drivers\\${name}.sys`).replace(
    /^(\\SystemRoot\\|%SystemRoot%\\|\\\?\?\\[A-Z]:\\Windows\\)/i,
    '',
  );
  return (await tree.find(`Windows/${path.replaceAll('\\', '/')}`)) !== undefined;
}

const PAGING = 'Page file';

/** D: is the temporary disk of most VM sizes. */
export function pageFileVerdict(hive: Hive, set: ControlSet): Verdict {
  const memory = hive.key('Control\\Session Manager\\Memory Management', set.key);
  const files = hive.texts(memory, 'PagingFiles').map((line) => line.split(' ')[0] ?? '');
  const away = files.filter((file) => /^[A-Z]:/i.test(file) && !/^C:/i.test(file));
  const found = files.length > 0 ? files.join(', ') : 'none';
  if (away.length === 0) return good('PAGE_FILE', PAGING, found);
  return doubtful('PAGE_FILE', PAGING, {
    found,
    expected: 'on C:, or chosen by Windows: other letters may be another disk in Azure, D: most of all',
    cure: 'System properties, Performance, Virtual memory: put it on C:, or let Windows manage it.',
  });
}

const RENAMES = 'Pending renames';

export function renamesVerdict(hive: Hive, set: ControlSet): Verdict {
  const pending = hive.texts(hive.key('Control\\Session Manager', set.key), 'PendingFileRenameOperations');
  if (pending.length === 0) return good('PENDING_RENAMES', RENAMES, 'none');
  return doubtful('PENDING_RENAMES', RENAMES, {
    found: `${pending.length} files wait for a restart, ${pending[0]} first`,
    expected: 'none: an update that is half installed goes on at the first start in Azure',
    cure: 'Restart the master once, in a maintenance window.',
  });
}

const BITLOCKER = 'BitLocker';

export function bitLockerVerdict(volumes: readonly GuestVolume[], system: GuestVolume | undefined): Verdict {
  const locked = volumes.filter(({ mark }) => mark === 'BitLocker').map(({ name }) => name);
  if (locked.length === 0) return good('BITLOCKER', BITLOCKER, 'no volume is encrypted');
  const fault = {
    found: `${locked.join(', ')} encrypted`,
    expected: 'decrypted volumes: the key is sealed in the master’s TPM, which does not come along',
    cure: 'manage-bde -off C: (for each volume), and wait until manage-bde -status says that it is decrypted',
  };
  return system ? doubtful('BITLOCKER', BITLOCKER, fault) : broken('BITLOCKER', BITLOCKER, fault);
}

const PLATFORM = 'Tools of another platform';
const DISABLED = 4;
const TOOLS = [
  'VMTools',
  'VGAuthService',
  'vmvss',
  'XenSvc',
  'xenbus',
  'xenfilt',
  'VBoxService',
  'QEMU-GA',
  'prl_tools_service',
];

export function toolsVerdict(hive: Hive, set: ControlSet): Verdict {
  const running = TOOLS.filter((name) => {
    const start = hive.number(hive.key(`Services\\${name}`, set.key), 'Start');
    return start !== undefined && start < DISABLED;
  });
  if (running.length === 0) return good('PLATFORM_TOOLS', PLATFORM, 'none that start');
  return doubtful('PLATFORM_TOOLS', PLATFORM, {
    found: running.join(', '),
    expected: 'absent or disabled (4): they look for hardware that Azure does not have',
    cure: running.map((name) => `sc config ${name} start= disabled`).join(' & '),
  });
}

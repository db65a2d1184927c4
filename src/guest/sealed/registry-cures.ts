import type { FileTree } from '../file-tree.ts';
import type { Hive } from '../hive.ts';
import type { HiveChange } from '../hive-change.ts';
import type { Generation } from '../readiness/boot-chain.ts';
import {
  BOOT_START,
  DRIVERS,
  missingFiles,
  startCode,
  startFaults,
  startText,
} from '../readiness/windows-drivers.ts';
import type { ControlSet } from '../readiness/windows-hive.ts';
import { AUTOMATIC, fixedAddresses, INTERFACES, withoutDhcp } from '../readiness/windows-network.ts';
import { ONLINE_ALL, PARTITION_MANAGER } from '../readiness/windows-storage.ts';

/**
 * Which values of the registry cure what readiness finds, by nothing but another number in the same place. A fact is
 * cured in all control sets or not at all: what needs a new key, a new value or a file is named, and left to the master.
 */
export interface Cure {
  readonly code: string;
  readonly text: string;
  readonly change: HiveChange;
}

export interface Cures {
  readonly cures: readonly Cure[];
  /** What cannot be cured so, and why. */
  readonly left: readonly { readonly code: string; readonly text: string }[];
}

interface Registry {
  readonly hive: Hive;
  readonly sets: readonly ControlSet[];
  readonly current: ControlSet;
  readonly tree: FileTree;
  readonly generation: Generation | undefined;
}

export async function registryCures(registry: Registry): Promise<Cures> {
  const found = [
    ...(await driverCures(registry)),
    dhcpCures(registry),
    sanCure(registry),
    addressCures(registry),
  ];
  return { cures: found.flatMap(({ cures }) => cures), left: found.flatMap(({ left }) => left) };
}

async function driverCures({ hive, sets, tree, generation }: Registry): Promise<Cures[]> {
  const found: Cures[] = [];
  for (const { service, files, neededBy } of DRIVERS) {
    const isOfOther = generation !== undefined && neededBy.length > 0 && !neededBy.includes(generation);
    const faults = startFaults(hive, sets, service);
    if (isOfOther || faults.length === 0) continue;
    const code = startCode(service);
    const missing = await missingFiles(tree, files);
    const cures = faults.flatMap(({ value, found: was }) =>
      value ? [numberCure(code, value.key, value.name, BOOT_START, was)] : [],
    );
    const isWhole = missing.length === 0 && cures.length === faults.length;
    const why =
      missing.length > 0 ? `${missing.join(', ')} is not there` : faults.find(({ value }) => !value)?.found;
    found.push(isWhole ? { cures, left: [] } : { cures: [], left: [{ code, text: `${service}: ${why}` }] });
  }
  return found;
}

function dhcpCures({ hive, sets }: Registry): Cures {
  const code = 'DHCP_SERVICE';
  const wrong = withoutDhcp(hive, sets);
  const absent = wrong.filter(({ start }) => start === undefined);
  if (absent.length > 0)
    return { cures: [], left: absent.map(({ found }) => ({ code, text: `Dhcp: ${found}` })) };
  const cures = wrong.map(({ name, found }) =>
    numberCure(code, `${name}\\Services\\Dhcp`, 'Start', AUTOMATIC, found),
  );
  return { cures, left: [] };
}

function sanCure({ hive, current }: Registry): Cures {
  const code = 'SAN_POLICY';
  const policy = hive.number(hive.key(PARTITION_MANAGER, current.key), 'SanPolicy');
  if (policy === ONLINE_ALL) return { cures: [], left: [] };
  if (policy === undefined)
    return { cures: [], left: [{ code, text: 'SanPolicy is not set, and nothing can be added' }] };
  const path = `${current.name}\\${PARTITION_MANAGER}`;
  return { cures: [numberCure(code, path, 'SanPolicy', ONLINE_ALL, `${current.name}: ${policy}`)], left: [] };
}

const BY_DHCP = 1;

function addressCures({ hive, current }: Registry): Cures {
  const cures = fixedAddresses(hive, current).map(({ name, addresses }) =>
    numberCure(
      'STATIC_ADDRESS',
      `${current.name}\\${INTERFACES}\\${name}`,
      'EnableDHCP',
      BY_DHCP,
      `${addresses} was fixed`,
    ),
  );
  return { cures, left: [] };
}

function numberCure(code: string, key: string, value: string, number: number, was: string): Cure {
  const data = Buffer.alloc(4);
  data.writeUInt32LE(number);
  const to = value === 'Start' || key.endsWith('StartOverride') ? startText(number) : `${number}`;
  return { code, text: `HKLM\\SYSTEM\\${key}: ${value} = ${to} (${was})`, change: { key, value, data } };
}

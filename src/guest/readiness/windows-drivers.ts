import type { Verdict } from '../../model/verdict.ts';
import type { FileTree } from '../file-tree.ts';
import type { Hive } from '../hive.ts';
import type { Generation } from './boot-chain.ts';
import { broken, doubtful, good } from './fact.ts';
import type { ControlSet } from './windows-hive.ts';

/**
 * The drivers without which Windows does not find its disk on Hyper-V: in every control set they must start with the
 * boot loader (Start = 0), no override may say otherwise, and their files must be there.
 */
interface Driver {
  readonly service: string;
  readonly files: readonly string[];
  /** The VMs in which Windows does not start without it. */
  readonly neededBy: readonly Generation[];
}

export const DRIVERS: readonly Driver[] = [
  { service: 'storvsc', files: ['storvsc.sys'], neededBy: [1, 2] },
  { service: 'vmbus', files: ['vmbus.sys'], neededBy: [1, 2] },
  { service: 'storflt', files: ['vmstorfl.sys'], neededBy: [] },
  { service: 'intelide', files: ['intelide.sys', 'pciidex.sys'], neededBy: [1] },
  { service: 'atapi', files: ['atapi.sys', 'ataport.sys'], neededBy: [1] },
];
export const BOOT_START = 0;

export async function driverVerdicts(
  hive: Hive,
  sets: readonly ControlSet[],
  tree: FileTree,
  generation: Generation | undefined,
): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const driver of DRIVERS) {
    const isNeeded = generation === undefined || driver.neededBy.includes(generation);
    const judge = isNeeded ? broken : doubtful;
    verdicts.push(startVerdict(hive, sets, driver.service, judge));
    verdicts.push(await fileVerdict(tree, driver, judge));
  }
  return verdicts;
}

/** A value that keeps a driver from starting with the boot loader. */
export interface StartFault {
  readonly set: string;
  /** Absent: the service or its start value is not there. */
  readonly value?: { readonly key: string; readonly name: string };
  readonly found: string;
  readonly cure: string;
}

export function startFaults(hive: Hive, sets: readonly ControlSet[], service: string): StartFault[] {
  const faults: StartFault[] = [];
  for (const { name: set, key } of sets) {
    const found = hive.key(`Services\\${service}`, key);
    const path = `${set}\\Services\\${service}`;
    const start = hive.number(found, 'Start');
    if (start !== BOOT_START) {
      faults.push({
        set,
        ...(start === undefined ? {} : { value: { key: path, name: 'Start' } }),
        found: `${set}: ${found ? startText(start) : 'no such service'}`,
        cure: found ? `reg add HKLM\\SYSTEM\\${path} /v Start /t REG_DWORD /d 0 /f` : DRIVER_CURE,
      });
    }
    const override = found && hive.key('StartOverride', found);
    for (const value of override ? hive.values(override) : []) {
      const number = value.data.length === 4 ? value.data.readUInt32LE(0) : undefined;
      if (number === BOOT_START) continue;
      faults.push({
        set,
        ...(number === undefined ? {} : { value: { key: `${path}\\StartOverride`, name: value.name } }),
        found: `${set}: StartOverride ${value.name} = ${startText(number)}`,
        cure: `reg delete HKLM\\SYSTEM\\${path}\\StartOverride /f`,
      });
    }
  }
  return faults;
}

function startVerdict(
  hive: Hive,
  sets: readonly ControlSet[],
  service: string,
  judge: typeof broken | typeof doubtful,
): Verdict {
  const code = startCode(service);
  const title = `Start of ${service}`;
  const faults = startFaults(hive, sets, service);
  if (faults.length === 0) return good(code, title, `0 (boot) in ${sets.map(({ name }) => name).join(', ')}`);
  return judge(code, title, {
    found: faults.map(({ found }) => found).join('; '),
    expected: '0 (boot) in every control set, without an override',
    cure: [...new Set(faults.map(({ cure }) => cure))].join(' & '),
  });
}

export function startCode(service: string): string {
  return `${service.toUpperCase()}_START`;
}

const WORDS = ['boot', 'system', 'automatic', 'on demand', 'disabled'];
export const DRIVER_CURE =
  'Install the Hyper-V guest components that belong to this Windows (DISM /add-driver).';

export function startText(start: number | undefined): string {
  return start === undefined ? 'no start value' : `${start} (${WORDS[start] ?? 'unknown'})`;
}

async function fileVerdict(
  tree: FileTree,
  { service, files }: Driver,
  judge: typeof broken | typeof doubtful,
): Promise<Verdict> {
  const code = `${service.toUpperCase()}_FILE`;
  const title = `Driver files of ${service}`;
  const missing = await missingFiles(tree, files);
  if (missing.length === 0) return good(code, title, files.join(', '));
  return judge(code, title, {
    found: `not in System32\\drivers: ${missing.join(', ')}`,
    expected: files.join(', '),
    cure: `${DRIVER_CURE} sfc /scannow restores what Windows itself brings.`,
  });
}

export async function missingFiles(tree: FileTree, files: readonly string[]): Promise<string[]> {
  const missing: string[] = [];
  for (const file of files) {
    const found = await tree.find(`Windows/System32/drivers/${file}`);
    if (found?.kind !== 'file' || found.sizeBytes === 0) missing.push(file);
  }
  return missing;
}

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { StandbyError } from '../../errors.ts';
import {
  BOOT_START,
  DRIVER_CURE,
  DRIVERS,
  startCode,
  startText,
} from '../../guest/readiness/windows-drivers.ts';
import { AUTOMATIC, INTERFACES } from '../../guest/readiness/windows-network.ts';
import { ONLINE_ALL, PARTITION_MANAGER } from '../../guest/readiness/windows-storage.ts';
import { numberIn, type Registry, type RegistryKey, SYSTEM_HIVE } from './registry.ts';

/**
 * What a Windows master needs to start in Azure and can be given while it works: it only looks, and says which numbers of
 * the registry would become what. Each is what Windows itself has there on Hyper-V; a driver that is started early and
 * finds no device of its own is let go again, so the master starts as before. A fact is cured in all control sets or not
 * at all. What would change how the master is reached, or needs more than a number, is named and left.
 */
export interface ValueChange {
  readonly code: string;
  readonly text: string;
  /** From HKEY_LOCAL_MACHINE on. */
  readonly key: string;
  readonly name: string;
  /** Undefined: the value is not there. */
  readonly before: number | undefined;
  readonly after: number;
}

export interface RegistryWishes {
  readonly changes: readonly ValueChange[];
  readonly left: readonly { readonly code: string; readonly text: string }[];
}

interface Place {
  readonly registry: Registry;
  readonly driversFolder: string;
  /** `HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001`, ... */
  readonly sets: readonly string[];
  readonly current: string;
}

export async function registryWishes(registry: Registry, systemRoot: string): Promise<RegistryWishes> {
  const system = await registry.key(SYSTEM_HIVE);
  const sets = (system?.subkeys ?? []).filter((name) => /^ControlSet\d{3}$/i.test(name));
  const select = await registry.key(`${SYSTEM_HIVE}\\Select`);
  const next = numberIn(select, 'Default') ?? numberIn(select, 'Current') ?? 1;
  const current = sets.find((name) => Number(name.slice(-3)) === next) ?? sets[0];
  if (current === undefined) {
    throw new StandbyError({
      code: 'NO_CONTROL_SET',
      what: `The registry has no control set under ${SYSTEM_HIVE}.`,
      next: 'Look what it says: reg query HKLM\\SYSTEM',
    });
  }
  const place: Place = {
    registry,
    driversFolder: join(systemRoot, 'System32', 'drivers'),
    sets: sets.map((name) => `${SYSTEM_HIVE}\\${name}`),
    current: `${SYSTEM_HIVE}\\${current}`,
  };
  const found = [
    ...(await driverWishes(place)),
    await dhcpWish(place),
    await sanWish(place),
    await addressesLeft(place),
    await pageFileLeft(place),
  ];
  return { changes: found.flatMap(({ changes }) => changes), left: found.flatMap(({ left }) => left) };
}

const NONE: RegistryWishes = { changes: [], left: [] };

function leftAs(code: string, texts: readonly string[]): RegistryWishes {
  return { changes: [], left: texts.map((text) => ({ code, text })) };
}

const WHY_BOOT = 'Windows finds its disk on Hyper-V only with drivers that start with the boot loader';

async function driverWishes(place: Place): Promise<RegistryWishes[]> {
  const wishes: RegistryWishes[] = [];
  const generation = await generationOf(place);
  for (const { service, files, neededBy } of DRIVERS) {
    if (generation !== undefined && neededBy.length > 0 && !neededBy.includes(generation)) continue;
    const code = startCode(service);
    const { changes, problems } = await startWishes(place, service);
    for (const file of await missingFiles(place.driversFolder, files))
      problems.push(`${file} is not in ${place.driversFolder}. ${DRIVER_CURE}`);
    const text = problems.map((problem) => `${service} is left as it is: ${problem}`);
    wishes.push(problems.length > 0 ? leftAs(code, text) : { changes, left: [] });
  }
  return wishes;
}

async function startWishes({ registry, sets }: Place, service: string) {
  const code = startCode(service);
  const changes: ValueChange[] = [];
  const problems: string[] = [];
  const keys = await Promise.all(
    sets.map(async (set) => ({
      path: `${set}\\Services\\${service}`,
      key: await at(registry, set, service),
    })),
  );
  const whole = keys.find(({ key }) => typeof numberIn(key, 'Start') === 'number')?.path;
  for (const { path, key } of keys) {
    const start = numberIn(key, 'Start');
    const wish = { code, text: WHY_BOOT, after: BOOT_START };
    if (typeof start !== 'number') problems.push(withoutStart(path, key, whole));
    else if (start !== BOOT_START) changes.push({ ...wish, key: path, name: 'Start', before: start });
    const over = await overridesOf(registry, path, key);
    for (const { name } of over?.values.values() ?? []) {
      const number = numberIn(over, name);
      // Numbers of hardware profiles; reg.exe also lists a default value that is not set.
      if (!/^\d{1,4}$/.test(name) || number === BOOT_START) continue;
      const below = `${path}\\StartOverride`;
      if (typeof number === 'number') changes.push({ ...wish, key: below, name, before: number });
      else problems.push(`${name} of ${below} is no number: reg delete ${below} /f`);
    }
  }
  return { changes, problems };
}

function at(registry: Registry, set: string, service: string): Promise<RegistryKey | undefined> {
  return registry.key(`${set}\\Services\\${service}`);
}

async function overridesOf(registry: Registry, path: string, key: RegistryKey | undefined) {
  const isThere = key?.subkeys.some((name) => name.toLowerCase() === 'startoverride');
  return isThere ? await registry.key(`${path}\\StartOverride`) : undefined;
}

function withoutStart(path: string, key: RegistryKey | undefined, whole: string | undefined): string {
  if (!key && whole) return `${path} is not there: reg copy ${whole} ${path} /s /f`;
  if (!key) return `${path} is not there. ${DRIVER_CURE}`;
  return `${path} has no start value: reg add ${path} /v Start /t REG_DWORD /d ${BOOT_START} /f`;
}

async function missingFiles(folder: string, files: readonly string[]): Promise<string[]> {
  const missing: string[] = [];
  for (const file of files) {
    const found = await stat(join(folder, file)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return undefined;
    });
    if (!found?.isFile() || found.size === 0) missing.push(file);
  }
  return missing;
}

const FIRMWARE: Readonly<Record<number, 1 | 2>> = { 1: 1, 2: 2 };

/** The firmware that Windows was started by decides it; undefined where nothing tells: then all drivers count. */
async function generationOf({ registry, current }: Place): Promise<1 | 2 | undefined> {
  const firmware = numberIn(await registry.key(`${current}\\Control`), 'PEFirmwareType');
  return typeof firmware === 'number' ? FIRMWARE[firmware] : undefined;
}

async function dhcpWish({ registry, sets }: Place): Promise<RegistryWishes> {
  const code = 'DHCP_SERVICE';
  const text = 'a VM in Azure gets its address by DHCP; addresses that are fixed here stay';
  const changes: ValueChange[] = [];
  for (const set of sets) {
    const key = `${set}\\Services\\Dhcp`;
    const before = numberIn(await at(registry, set, 'Dhcp'), 'Start');
    if (typeof before !== 'number') return leftAs(code, [`${key} has no start value: sfc /scannow`]);
    if (before !== AUTOMATIC) changes.push({ code, text, key, name: 'Start', before, after: AUTOMATIC });
  }
  return { changes, left: [] };
}

const SAN_COMMAND = 'diskpart: san policy=OnlineAll';
const DISABLED = 4;

async function sanWish({ registry, sets, current }: Place): Promise<RegistryWishes> {
  const code = 'SAN_POLICY';
  const text =
    'data disks are new to the standby and would stay offline; so will each disk that this server sees for the first time come online by itself';
  const changes: ValueChange[] = [];
  for (const set of sets) {
    const key = `${set}\\${PARTITION_MANAGER}`;
    const found = await registry.key(key);
    const before = numberIn(found, 'SanPolicy');
    if (before === ONLINE_ALL) continue;
    if (!found || before === 'other') return leftAs(code, [`${key} has no such value. ${SAN_COMMAND}`]);
    changes.push({ code, text, key, name: 'SanPolicy', before, after: ONLINE_ALL });
  }
  const shared = changes.length > 0 ? await sharedStorage(registry, current) : undefined;
  if (!shared) return { changes, left: [] };
  const why = `${shared}, so disks that belong to other servers could come online here. It is left as it is; where it is set, a switchover changes it in the copy alone.`;
  return leftAs(code, [why]);
}

/** A disk that comes online by itself is dangerous where another server writes to it. */
async function sharedStorage(registry: Registry, set: string): Promise<string | undefined> {
  const startOf = async (service: string) => numberIn(await at(registry, set, service), 'Start');
  const startsAlone = async (service: string) => {
    const start = await startOf(service);
    return typeof start === 'number' && start <= AUTOMATIC;
  };
  const cluster = await startOf('ClusSvc');
  if (typeof cluster === 'number' && cluster < DISABLED) return 'This is a node of a cluster';
  const services = (await registry.key(`${set}\\Services`))?.subkeys ?? [];
  if (services.some((name) => /^clp/i.test(name))) return 'This is a node of CLUSTERPRO';
  if (await startsAlone('MSiSCSI')) return 'This server uses iSCSI';
  if (await startsAlone('mpio')) return 'This server has several paths to its storage (MPIO)';
  return undefined;
}

async function addressesLeft({ registry, current }: Place): Promise<RegistryWishes> {
  const path = `${current}\\${INTERFACES}`;
  const fixed: string[] = [];
  for (const name of (await registry.key(path))?.subkeys ?? []) {
    const nic = await registry.key(`${path}\\${name}`);
    // Texts of a list have a `\0` between them, as two letters.
    const addresses = (nic?.values.get('ipaddress')?.data ?? '')
      .split('\\0')
      .filter((address) => address !== '' && address !== '0.0.0.0');
    if (numberIn(nic, 'EnableDHCP') === 0 && addresses.length > 0) fixed.push(addresses.join(', '));
  }
  if (fixed.length === 0) return NONE;
  return leftAs('STATIC_ADDRESS', [
    `${fixed.join('; ')} stays fixed here: DHCP would cut this server off. A switchover and a drill change it in the copy alone.`,
  ]);
}

async function pageFileLeft({ registry, current }: Place): Promise<RegistryWishes> {
  const memory = await registry.key(`${current}\\Control\\Session Manager\\Memory Management`);
  const files = (memory?.values.get('pagingfiles')?.data ?? '')
    .split('\\0')
    .map((line) => line.split(' ')[0]);
  const away = files.filter((file) => file !== undefined && /^[A-Z]:/i.test(file) && !/^C:/i.test(file));
  if (away.length === 0) return NONE;
  return leftAs('PAGE_FILE', [
    `${away.join(', ')} may be on another disk in Azure. Windows decides by itself after this and a restart, in PowerShell: ` +
      'Get-CimInstance Win32_ComputerSystem | Set-CimInstance -Property @{AutomaticManagedPagefile=$true}',
  ]);
}

/** As people read a number of the registry. */
export function numberText({ name, key }: Pick<ValueChange, 'name' | 'key'>, number: number | undefined) {
  if (number === undefined) return 'not set';
  return name === 'Start' || key.endsWith('StartOverride') ? startText(number) : `${number}`;
}

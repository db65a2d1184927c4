import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freeLoopbackAddress } from '../network/loopback.ts';
import type { GuestPlace } from './guest.ts';
import type { GuestHostFacts } from './guest-host.ts';

/** Below the data folder; the guid is the VM's own, so a later VM of the same name starts afresh. */
export function guestFolder(guid: string): string {
  return `guests/${guid}`;
}

type Addresses = Record<string, string>;

function readAddresses(file: string): Addresses {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Addresses;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}

/** Where one guest's files are, and the hidden loopback addresses its NICs keep for its life. */
export function placeOf(facts: GuestHostFacts, guid: string, taken: ReadonlySet<string>): GuestPlace {
  const folder = join(facts.dataFolder, guestFolder(guid));
  mkdirSync(folder, { recursive: true });
  const addressFile = join(folder, 'addresses.json');
  return {
    folder,
    serialFile: join(folder, 'serial.log'),
    caFile: facts.caFile,
    clock: facts.clock,
    log: facts.log,
    pidFile: (name) => join(facts.runFolder, `${guid}.${name}.pid`),
    addressOf(nicId) {
      const key = nicId.toLowerCase();
      const addresses = readAddresses(addressFile);
      const known = addresses[key];
      if (known !== undefined) return known;
      const made = freeLoopbackAddress('hidden', new Set([...taken, ...Object.values(addresses)]));
      writeFileSync(`${addressFile}.part`, JSON.stringify({ ...addresses, [key]: made }));
      renameSync(`${addressFile}.part`, addressFile);
      return made;
    },
  };
}

import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../../src/clock.ts';
import { endProcess, findProcess } from './guests/processes.ts';

/** Ends the guests that a killed Local Azure left behind; each is known by its own record. Tells how many there were. */
export async function endLeftGuests(runFolder: string, clock: Clock): Promise<number> {
  if (!existsSync(runFolder)) return 0;
  const left = readdirSync(runFolder)
    .filter((name) => name.endsWith('.pid'))
    .map((name) => findProcess(path.join(runFolder, name)))
    .filter((found) => found !== undefined);
  await Promise.all(left.map((found) => endProcess(found, clock, 5000)));
  return left.length;
}

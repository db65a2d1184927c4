import { StandbyError } from '../errors.ts';
import type { Hive } from './hive.ts';
import { BASE_BYTES, sealBase } from './hive-base.ts';
import type { RecoveredHive } from './hive-log.ts';

/**
 * What has to be written into the file of a hive so that values get new data of the same length. Nothing is written
 * here. A hive that was in use gets what its logs hold too, and its sequence numbers agree after it: Windows then takes
 * it as it stands and reads no log. One whose logs could not be replayed is refused. The base block comes last: until it
 * is there the hive is what it was.
 */
export interface HiveChange {
  /** From the root, with `\` between names. */
  readonly key: string;
  readonly value: string;
  readonly data: Buffer;
}

export interface BytePatch {
  readonly atBytes: number;
  readonly bytes: Buffer;
}

export interface ChangeableHive {
  /** The file as it is on the disk. */
  readonly primary: Buffer;
  /** With its logs replayed. */
  readonly hive: Hive;
  readonly state: RecoveredHive['state'];
}

const PIECE_BYTES = 512;

export function changesInPlace(
  { primary, hive, state }: ChangeableHive,
  changes: readonly HiveChange[],
): BytePatch[] {
  if (state === 'dirty') throw refused('It is in use, and its logs could not be replayed.');
  if (hive.bytes.length !== primary.length)
    throw refused('What its logs hold makes it longer than its file.');
  const after = Buffer.from(hive.bytes);
  for (const change of changes) change.data.copy(after, placeOf(hive, change));
  const sequence = (after.readUInt32LE(4) + 1) >>> 0;
  after.writeUInt32LE(sequence, 4);
  after.writeUInt32LE(sequence, 8);
  sealBase(after.subarray(0, BASE_BYTES));
  return [...differences(primary, after), { atBytes: 0, bytes: after.subarray(0, BASE_BYTES) }];
}

function placeOf(hive: Hive, { key, value, data }: HiveChange): number {
  const found = hive.value(hive.key(key), value);
  if (!found) throw refused(`${key} has no value ${value}.`);
  if (found.data.length !== data.length) {
    throw refused(`${key}: ${value} has ${found.data.length} bytes, not ${data.length}.`);
  }
  if (found.at === undefined) throw refused(`${key}: ${value} lies in several pieces.`);
  return found.at;
}

/** Behind the base block, in pieces of a sector; neighbours are one piece. */
function differences(before: Buffer, after: Buffer): BytePatch[] {
  const patches: BytePatch[] = [];
  for (let at = BASE_BYTES; at < after.length; ) {
    let end = at;
    while (end < after.length && !isSame(before, after, end)) end += PIECE_BYTES;
    if (end > at) patches.push({ atBytes: at, bytes: after.subarray(at, end) });
    at = end + PIECE_BYTES;
  }
  return patches;
}

function isSame(before: Buffer, after: Buffer, at: number): boolean {
  return before.subarray(at, at + PIECE_BYTES).equals(after.subarray(at, at + PIECE_BYTES));
}

function refused(why: string): StandbyError {
  return new StandbyError({
    code: 'HIVE_CHANGE_REFUSED',
    what: 'The registry cannot be changed in its place.',
    why,
    next: 'Make the change on the master itself.',
  });
}

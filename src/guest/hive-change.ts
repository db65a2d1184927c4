import { StandbyError } from '../errors.ts';
import type { Hive } from './hive.ts';
import { BASE_BYTES, sealBase } from './hive-base.ts';
import type { RecoveredHive } from './hive-log.ts';

/**
 * What has to be written into the file of a hive so that values get new data of the same length: the data itself, and
 * the base block with its next sequence number and its checksum, as every writer of a hive leaves it. Nothing is
 * written here. A dirty hive is refused: its logs would undo the change at the next start.
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

export function changesInPlace(
  hive: Hive,
  state: RecoveredHive['state'],
  changes: readonly HiveChange[],
): BytePatch[] {
  if (state !== 'clean') throw refused('It was not closed cleanly.');
  const patches = changes.map((change) => patchOf(hive, change));
  const base = Buffer.from(hive.bytes.subarray(0, BASE_BYTES));
  const sequence = (base.readUInt32LE(4) + 1) >>> 0;
  base.writeUInt32LE(sequence, 4);
  base.writeUInt32LE(sequence, 8);
  sealBase(base);
  return [...patches, { atBytes: 0, bytes: base }];
}

function patchOf(hive: Hive, { key, value, data }: HiveChange): BytePatch {
  const found = hive.value(hive.key(key), value);
  if (!found) throw refused(`${key} has no value ${value}.`);
  if (found.data.length !== data.length) {
    throw refused(`${key}: ${value} has ${found.data.length} bytes, not ${data.length}.`);
  }
  if (found.at === undefined) throw refused(`${key}: ${value} lies in several pieces.`);
  return { atBytes: found.at, bytes: data };
}

function refused(why: string): StandbyError {
  return new StandbyError({
    code: 'HIVE_CHANGE_REFUSED',
    what: 'The registry cannot be changed in its place.',
    why,
    next: 'Make the change on the master itself.',
  });
}

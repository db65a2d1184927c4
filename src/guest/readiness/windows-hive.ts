import { type FileTree, readWhole, type TreeFile } from '../file-tree.ts';
import { HIVE_BYTES_MAX, Hive, type HiveKey } from '../hive.ts';
import { type RecoveredHive, recoverHive } from '../hive-log.ts';

/** A hive of the disk with its logs, as Windows would see it at its next start. */
export interface LoadedHive {
  readonly path: string;
  readonly file: TreeFile;
  /** The file as it is on the disk. */
  readonly primary: Buffer;
  readonly hive: Hive;
  readonly state: RecoveredHive['state'];
  readonly entries: number;
  readonly why?: string;
}

const LOG_BYTES_MAX = 128 * 1024 ** 2;

/** Undefined when there is no such file. */
export async function loadHive(tree: FileTree, path: string): Promise<LoadedHive | undefined> {
  const file = await tree.find(path);
  if (!file) return undefined;
  const primary = await readWhole(file, path, HIVE_BYTES_MAX);
  const logs: { name: string; bytes: Buffer }[] = [];
  for (const name of ['LOG1', 'LOG2']) {
    const log: TreeFile | undefined = await tree.find(`${path}.${name}`);
    if (log?.kind === 'file')
      logs.push({ name, bytes: await readWhole(log, `${path}.${name}`, LOG_BYTES_MAX) });
  }
  const { bytes, state, entries, why } = recoverHive(primary, logs);
  return { path, file, primary, hive: new Hive(bytes, path), state, entries, ...(why ? { why } : {}) };
}

export interface ControlSet {
  readonly name: string;
  readonly key: HiveKey;
}

/** Every one of them: which is taken at the next start is decided then. */
export function controlSetsOf(hive: Hive): ControlSet[] {
  return hive
    .subkeys(hive.root)
    .filter(({ name }) => /^ControlSet\d{3}$/i.test(name))
    .map((key) => ({ name: key.name, key }));
}

export function currentSetOf(hive: Hive): ControlSet | undefined {
  const sets = controlSetsOf(hive);
  const number =
    hive.number(hive.key('Select'), 'Default') ?? hive.number(hive.key('Select'), 'Current') ?? 1;
  return sets.find(({ name }) => Number(name.slice(-3)) === number) ?? sets[0];
}

import { join } from 'node:path';
import { z } from 'zod';
import { readStateJson, removeStateFile, writeStateFile } from '../block/state-file.ts';
import { inputError, messageOf, StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Prepared } from './prepare.ts';
import {
  isAdministrator,
  LiveRegistry,
  numberIn,
  type Registry,
  type RegRunner,
} from './windows/registry.ts';
import {
  numberText,
  type RegistryWishes,
  registryWishes,
  type ValueChange,
} from './windows/registry-wishes.ts';

/**
 * Makes a Windows master ready to start in Azure, and takes it back. Promises: what every value was is durable in a record
 * before the first one is changed; each value is written by one call and read back; one that somebody else has changed
 * since is left alone, and named. Dies at any line: the record is there, and doing it again or undoing it goes on from what
 * the values are. Windows itself writes its registry to the disk some seconds later, the record before.
 */
export interface PrepareWindowsOptions {
  /** Runs reg.exe. */
  readonly reg: RegRunner;
  /** The folder of Windows. The record is in it, because only administrators write there: an undo believes the record. */
  readonly systemRoot: string;
  readonly log: Log;
}

const recordSchema = z.object({
  values: z.array(
    z.object({
      // Nothing else is ever put back, whatever stands in the file.
      key: z.string().regex(/^HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet\d{3}\\Services\\[\w\\]+$/i),
      name: z.string().regex(/^(Start|SanPolicy|\d{1,4})$/),
      before: z.int().min(0).max(0xffffffff).optional(),
      after: z.int().min(0).max(0xffffffff),
    }),
  ),
});
type PrepareRecord = z.infer<typeof recordSchema>;
type RecordedValue = PrepareRecord['values'][number];

export async function proposeForWindows(options: PrepareWindowsOptions): Promise<RegistryWishes> {
  return registryWishes(await openRegistry(options), options.systemRoot);
}

export async function prepareWindows(
  options: PrepareWindowsOptions,
  { changes }: Pick<RegistryWishes, 'changes'>,
): Promise<Prepared> {
  if (changes.length === 0) return { done: [], skipped: [], commands: [] };
  const registry = await openRegistry(options);
  const made = changes.map(({ key, name, before, after }): RecordedValue => {
    return { key, name, ...(before === undefined ? {} : { before }), after };
  });
  // What it is now is what comes back: had it stayed as it was made, it would not be changed again.
  const kept = ((await recordOf(options))?.values ?? []).filter(
    (one) => !made.some((two) => isSame(one, two)),
  );
  await writeRecord(options, { values: [...kept, ...made] });
  const done: Prepared['done'][number][] = [];
  const skipped: string[] = [];
  for (const change of changes) {
    const path = titleOf(change);
    if (numberIn(await registry.key(change.key), change.name) !== change.before) {
      options.log.warn('prepare: it is not any more what was shown; it is left as it is', { path });
      skipped.push(path);
      continue;
    }
    await registry.setNumber(change.key, change.name, change.after);
    const to = numberText(change, change.after);
    options.log.info('prepare: changed', {
      path,
      from: numberText(change, change.before),
      to,
      why: change.code,
    });
    done.push({ path, how: change.before === undefined ? 'made' : 'changed' });
  }
  return { done, skipped, commands: [] };
}

/** Every value as it was before. */
export async function undoWindows(options: PrepareWindowsOptions): Promise<Prepared> {
  const registry = await openRegistry(options);
  const record = await recordOf(options);
  const done: Prepared['done'][number][] = [];
  const skipped: string[] = [];
  for (const value of [...(record?.values ?? [])].reverse()) {
    const path = titleOf(value);
    const now = numberIn(await registry.key(value.key), value.name);
    if (now === value.before) continue;
    if (now !== value.after) {
      options.log.warn('prepare: somebody else has changed this value; it is left as it is', { path });
      skipped.push(path);
      continue;
    }
    await putBack(registry, value);
    options.log.info('prepare: restored', { path, to: numberText(value, value.before) });
    done.push({ path, how: 'restored' });
  }
  if (record) await removeStateFile(recordPath(options));
  return { done, skipped, commands: [] };
}

async function putBack(registry: Registry, { key, name, before }: RecordedValue): Promise<void> {
  if (before === undefined) await registry.deleteValue(key, name);
  else await registry.setNumber(key, name, before);
}

/** `HKLM\SYSTEM\ControlSet001\Services\storvsc: Start` */
export function titleOf({ key, name }: Pick<ValueChange, 'key' | 'name'>): string {
  return `${key.replace(/^HKEY_LOCAL_MACHINE/, 'HKLM')}: ${name}`;
}

function isSame(one: RecordedValue, two: RecordedValue): boolean {
  return titleOf(one).toLowerCase() === titleOf(two).toLowerCase();
}

async function openRegistry({ reg }: PrepareWindowsOptions): Promise<Registry> {
  if (await isAdministrator(reg)) return new LiveRegistry(reg);
  throw inputError(
    'NOT_ADMINISTRATOR',
    'The registry of Windows is changed by administrators only. Nothing was changed.',
    'Start PowerShell with "Run as administrator", and type the same again.',
  );
}

function recordPath({ systemRoot }: PrepareWindowsOptions): string {
  return join(systemRoot, 'Standby', 'prepare.json');
}

function recordOf(options: PrepareWindowsOptions): Promise<PrepareRecord | undefined> {
  return readStateJson(recordPath(options), recordSchema);
}

async function writeRecord(options: PrepareWindowsOptions, record: PrepareRecord): Promise<void> {
  try {
    await writeStateFile(recordPath(options), JSON.stringify(record));
  } catch (error) {
    throw new StandbyError({
      code: 'PREPARE_NOT_ALLOWED',
      what: 'What the values were cannot be written down, so nothing was changed.',
      why: messageOf(error),
      next: `See why ${recordPath(options)} cannot be written, and type the same again.`,
      cause: error,
    });
  }
}

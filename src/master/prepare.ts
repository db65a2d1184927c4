import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, chown, lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { readStateJson, removeStateFile, syncFolder, writeStateFile } from '../block/state-file.ts';
import { messageOf, StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import { type FileChange, type Proposal, proposeForLinux } from './prepare-linux.ts';

/**
 * Makes a Linux master ready to start in Azure, and takes it back. Promises: what every file was is durable in a record
 * before the first one is changed; a file is there whole, as it was or as it becomes, with its owner and mode; a file that
 * somebody else has changed since is left alone, and named. Dies at any line: the record is there, and doing it again or
 * undoing it goes on from what the files are.
 */
export interface PrepareOptions {
  /** `/`, or where the file system of another server is mounted: commands are then told and not run. */
  readonly root: string;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Tests: what runs a command. */
  readonly run?: (command: readonly string[], signal: AbortSignal) => Promise<void>;
}

export interface Prepared {
  readonly done: readonly {
    readonly path: string;
    readonly how: 'changed' | 'made' | 'removed' | 'restored';
  }[];
  /** Somebody else has changed them since. */
  readonly skipped: readonly string[];
  /** Still to be run, by whoever has the system under `root` running. */
  readonly commands: readonly (readonly string[])[];
}

const recordSchema = z.object({
  /** Commands that make the files count, and have not ended well yet. */
  pending: z.array(z.array(z.string())),
  /** All that were ever needed: an undo needs them again. */
  commands: z.array(z.array(z.string())),
  files: z.array(
    z.object({
      path: z.string(),
      before: z.base64().optional(),
      mode: z.int(),
      uid: z.int(),
      gid: z.int(),
      afterSha256: z.string().optional(),
    }),
  ),
});
type PrepareRecord = z.infer<typeof recordSchema>;

const RECORD = 'var/lib/standby/prepare.json';
const NEW_FILE = { mode: 0o644, uid: 0, gid: 0 };

export interface PrepareProposal extends Proposal {
  /** Of an earlier time that did not come to its end. */
  readonly pending: readonly (readonly string[])[];
}

export async function proposePrepare({ root }: Pick<PrepareOptions, 'root'>): Promise<PrepareProposal> {
  const record = await recordOf(root);
  return { ...(await proposeForLinux(root)), pending: record?.pending ?? [] };
}

export async function prepareMaster(options: PrepareOptions, proposal: PrepareProposal): Promise<Prepared> {
  const { root, log } = options;
  const before = (await recordOf(root)) ?? { pending: [], commands: [], files: [] };
  if (proposal.changes.length === 0 && before.pending.length === 0)
    return { done: [], skipped: [], commands: [] };
  const files = [...before.files];
  for (const change of proposal.changes) {
    const made = await fileRecord(root, change);
    const at = files.findIndex(({ path }) => path === change.path);
    const first = files[at];
    if (first) files[at] = { ...first, afterSha256: made.afterSha256 };
    else files.push(made);
  }
  const pending = merged(before.pending, proposal.commands);
  const record = { pending, commands: merged(before.commands, proposal.commands), files };
  await writeRecord(root, record);
  const done: Prepared['done'][number][] = [];
  for (const change of proposal.changes) {
    await put(root, change, files.find(({ path }) => path === change.path) ?? NEW_FILE);
    const how = change.after === undefined ? 'removed' : change.before === undefined ? 'made' : 'changed';
    log.info(`prepare: ${how}`, { path: change.path, why: change.code });
    done.push({ path: change.path, how });
  }
  return { done, skipped: [], commands: await runAll(options, record) };
}

/** Every file as it was before the first time, and what was made of them made again. */
export async function undoPrepare(options: PrepareOptions): Promise<Prepared> {
  const { root, log } = options;
  const record = await recordOf(root);
  if (!record) return { done: [], skipped: [], commands: [] };
  const done: Prepared['done'][number][] = [];
  const skipped: string[] = [];
  for (const file of [...record.files].reverse()) {
    const before =
      file.before === undefined ? undefined : Buffer.from(file.before, 'base64').toString('utf8');
    const now = await textOf(root, file.path);
    if (now === before) continue;
    if ((now === undefined ? undefined : hashOf(now)) !== file.afterSha256) {
      log.warn('prepare: somebody else has changed this file; it is left as it is', { path: file.path });
      skipped.push(file.path);
      continue;
    }
    await put(root, { path: file.path, after: before }, file);
    log.info('prepare: restored', { path: file.path });
    done.push({ path: file.path, how: 'restored' });
  }
  const again = { ...record, pending: record.commands };
  await writeRecord(root, again);
  const commands = await runAll(options, again);
  await removeStateFile(join(root, RECORD));
  return { done, skipped, commands };
}

/** What is to be run elsewhere; here all of it has ended well when it returns. */
async function runAll({ root, log, signal, run }: PrepareOptions, record: PrepareRecord) {
  const act = run ?? (resolve(root) === '/' ? runCommand : undefined);
  if (!act) return record.pending;
  for (const command of record.pending) {
    log.info('prepare: runs', { command: command.join(' ') });
    await act(command, signal);
  }
  await writeRecord(root, { ...record, pending: [] });
  return [];
}

function merged(a: readonly (readonly string[])[], b: readonly (readonly string[])[]): string[][] {
  const all = [...a, ...b].map((command) => [...command]);
  return all.filter((command, at) => all.findIndex((one) => one.join(' ') === command.join(' ')) === at);
}

async function fileRecord(root: string, change: FileChange): Promise<PrepareRecord['files'][number]> {
  const after = change.after === undefined ? {} : { afterSha256: hashOf(change.after) };
  if (change.before === undefined) return { path: change.path, ...NEW_FILE, ...after };
  const { mode, uid, gid } = await lstat(join(root, change.path));
  const before = Buffer.from(change.before).toString('base64');
  return { path: change.path, before, mode: mode & 0o7777, uid, gid, ...after };
}

/** Beside, synced, renamed: never half a file. */
async function put(
  root: string,
  { path, after }: Pick<FileChange, 'path' | 'after'>,
  { mode, uid, gid }: Pick<PrepareRecord['files'][number], 'mode' | 'uid' | 'gid'>,
): Promise<void> {
  const place = join(root, path);
  if (after === undefined) {
    await rm(place, { force: true });
    return await syncFolder(dirname(place));
  }
  const beside = `${place}.standby-new`;
  await mkdir(dirname(place), { recursive: true });
  await rm(beside, { force: true });
  const file = await open(beside, 'wx', 0o600);
  try {
    await file.writeFile(after);
    await file.sync();
  } finally {
    await file.close();
  }
  await chmod(beside, mode);
  const { uid: mine, gid: group } = await lstat(beside);
  if (mine !== uid || group !== gid) await chown(beside, uid, gid);
  await rename(beside, place);
  await syncFolder(dirname(place));
}

async function textOf(root: string, path: string): Promise<string | undefined> {
  return await readFile(join(root, path), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  });
}

function recordOf(root: string): Promise<PrepareRecord | undefined> {
  return readStateJson(join(root, RECORD), recordSchema);
}

async function writeRecord(root: string, record: PrepareRecord): Promise<void> {
  try {
    await writeStateFile(join(root, RECORD), JSON.stringify(record));
  } catch (error) {
    throw new StandbyError({
      code: 'PREPARE_NOT_ALLOWED',
      what: 'What the files were cannot be written down, so nothing was changed.',
      why: messageOf(error),
      next: 'Run it as root.',
      cause: error,
    });
  }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

const OUTPUT_CHARS_MAX = 2000;

async function runCommand([program = '', ...args]: readonly string[], signal: AbortSignal): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], signal });
  let said = '';
  const keep = (data: Buffer) => {
    said = `${said}${data.toString('utf8')}`.slice(-OUTPUT_CHARS_MAX);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const code = await new Promise<number | null>((fulfil, reject) => {
    child.once('error', reject);
    child.once('close', fulfil);
  }).catch((error: unknown) => {
    said = messageOf(error);
    return null;
  });
  if (code === 0) return;
  throw new StandbyError({
    code: 'PREPARE_COMMAND_FAILED',
    what: `${[program, ...args].join(' ')} did not end well (${code ?? 'it was not run'}).`,
    why: said.trim(),
    next: 'Mend it and run the same again, or take everything back: standby master prepare --undo',
  });
}

import type { Command } from 'commander';
import { inputError } from '../errors.ts';
import { optionText } from './answers.ts';
import { type Call, leaf } from './command.ts';
import { confirmed } from './confirm.ts';
import { done, note, warn } from './people.ts';
import type { Shell } from './shell.ts';

export function addPrepareCommand(master: Command, shell: Shell): void {
  leaf(
    master,
    'prepare',
    'On a master: shows what it needs to start in Azure, asks, and changes it; --undo takes it back',
    shell,
    prepare,
  )
    .option('--undo', 'every file, and on Windows every value of the registry, as it was before')
    .option(
      '--root <folder>',
      'Linux: a mounted system instead of this one; commands are told and not run',
      '/',
    );
}

const NOTHING_TO_CHANGE =
  'Nothing has to be changed. What else the replica shows: standby readiness SCENARIO';
const NOTHING_TO_UNDO = 'There is nothing to take back.';

type Prepared = import('../master/prepare.ts').Prepared;

async function prepare(call: Call): Promise<unknown> {
  const root = optionText(call, 'root') ?? '/';
  if (root === '/' && process.platform === 'win32') return prepareThisWindows(call);
  if (root === '/' && process.platform !== 'linux') {
    throw inputError(
      'PREPARE_NOT_HERE',
      'Only Linux and Windows masters are prepared by this command.',
      'Run it on the master, or name a mounted Linux system: --root FOLDER',
    );
  }
  const { prepareMaster, proposePrepare, undoPrepare } = await import('../master/prepare.ts');
  const options = { root, log: await call.log(), signal: call.shell.signal };
  if (call.options.undo === true) {
    await confirmed(call, 'Put every file back as it was?');
    return told(call, await undoPrepare(options), NOTHING_TO_UNDO);
  }
  const proposal = await proposePrepare(options);
  const { changes, commands, left, pending } = proposal;
  for (const { code, text } of left) warn(call, `${code}: ${text}`);
  if (changes.length === 0 && pending.length === 0) {
    done(call, NOTHING_TO_CHANGE);
    return { changes: [], left, commands: [] };
  }
  call.host.tell({
    kind: 'table',
    title: 'This would be changed:',
    columns: ['file', 'how', 'why'],
    rows: changes.map(({ path, code, text, after }) => [
      path,
      after === undefined ? 'removed' : differences(proposal.changes, path),
      `${code}: ${text}`,
    ]),
  });
  for (const command of [...pending, ...commands]) note(call, `Then runs: ${command.join(' ')}`);
  await confirmed(call, 'Change these files?');
  const outcome = await prepareMaster(options, proposal);
  return { ...told(call, outcome, ''), left };
}

async function prepareThisWindows(call: Call): Promise<unknown> {
  const [{ prepareWindows, proposeForWindows, titleOf, undoWindows }, { regExe }, { numberText }] =
    await Promise.all([
      import('../master/prepare-windows.ts'),
      import('../master/windows/registry.ts'),
      import('../master/windows/registry-wishes.ts'),
    ]);
  const systemRoot = call.config.systemRoot ?? 'C:\\Windows';
  const options = { reg: regExe(systemRoot), systemRoot, log: await call.log() };
  if (call.options.undo === true) {
    await confirmed(call, 'Put every value back as it was?');
    return told(call, await undoWindows(options), NOTHING_TO_UNDO);
  }
  const { changes, left } = await proposeForWindows(options);
  for (const { code, text } of left) warn(call, `${code}: ${text}`);
  if (changes.length === 0) {
    done(call, NOTHING_TO_CHANGE);
    return { changes: [], left, commands: [] };
  }
  call.host.tell({
    kind: 'table',
    title: 'This would be changed:',
    columns: ['value', 'found', 'becomes', 'why'],
    rows: changes.map((change) => [
      titleOf(change),
      numberText(change, change.before),
      numberText(change, change.after),
      `${change.code}: ${change.text}`,
    ]),
  });
  await confirmed(call, 'Change these values?');
  return { ...told(call, await prepareWindows(options, { changes }), ''), left };
}

/** The lines that come and go. */
function differences(
  changes: readonly {
    readonly path: string;
    readonly before: string | undefined;
    readonly after: string | undefined;
  }[],
  path: string,
): string {
  const { before = '', after = '' } = changes.find((one) => one.path === path) ?? {};
  const lines = (text: string) => text.split('\n').filter((line) => line.trim() !== '');
  const [was, is] = [lines(before), lines(after)];
  const gone = was.filter((line) => !is.includes(line)).map((line) => `- ${line}`);
  const come = is.filter((line) => !was.includes(line)).map((line) => `+ ${line}`);
  return [...gone, ...come].join('; ');
}

function told(call: Call, { done: files, skipped, commands }: Prepared, otherwise: string) {
  for (const { path, how } of files) done(call, `${path}: ${how}`);
  for (const path of skipped) warn(call, `${path} was changed by somebody else since: it is left as it is.`);
  for (const command of commands) note(call, `Run it in that system: ${command.join(' ')}`);
  if (files.length + skipped.length === 0 && otherwise) note(call, otherwise);
  return { changes: files, skipped, commands };
}

import type { Command } from 'commander';
import { isoTime, timeText } from '../clock.ts';
import { inputError } from '../errors.ts';
import { type Call, leaf } from './command.ts';
import { confirmed } from './confirm.ts';
import { done, listing } from './people.ts';
import type { Shell } from './shell.ts';

export function addBackupCommands(program: Command, shell: Shell): void {
  const backup = leaf(
    program,
    'backup [scenario]',
    "Takes a full backup of the standby's disks, or goes on with an unfinished one",
    shell,
    take,
  ).option('--detach', 'let a process of its own do it, and come back at once');
  leaf(backup, 'list <scenario>', 'Lists the backups of a standby, newest first', shell, list);
  leaf(
    backup,
    'remove <scenario> [run]',
    'Deletes a backup, or with --all all of them',
    shell,
    remove,
  ).option('--all', 'all backups of this scenario');
}

async function take(call: Call): Promise<unknown> {
  const [name] = call.args;
  if (name === undefined) {
    throw inputError(
      'USAGE',
      'No scenario was named.',
      'standby backup SCENARIO, or standby backup list SCENARIO',
    );
  }
  const { backUp } = await import('../control/backup.ts');
  const detach = call.options.detach === true;
  const { scenario, run, detached } = await backUp(await call.context(), name, { detach });
  done(
    call,
    detached
      ? `A process of its own backs the standby of ${scenario.name} up: standby runs ${run.id}`
      : `The standby of ${scenario.name} is backed up.`,
  );
  return { scenario: scenario.name, runId: run.id, status: run.status, detached };
}

async function list(call: Call): Promise<unknown> {
  const { listBackups } = await import('../control/backup.ts');
  const { scenario, backups } = await listBackups(await call.context(), String(call.args[0]));
  listing(call, `There is no backup of the standby of ${scenario.name}.`, {
    columns: ['run', 'state', 'complete at', 'after', 'snapshots'],
    rows: backups.map((one) => [
      one.runId,
      one.state,
      one.atMs === undefined ? '-' : timeText(one.atMs),
      one.reason ?? '-',
      one.snapshots.map(({ name }) => name).join(', '),
    ]),
  });
  return {
    scenario: scenario.name,
    backups: backups.map(({ atMs, ...rest }) => ({
      ...rest,
      ...(atMs === undefined ? {} : { completeAt: isoTime(atMs) }),
    })),
  };
}

async function remove(call: Call): Promise<unknown> {
  const [name = '', runId] = call.args;
  const all = call.options.all === true;
  if (all === (runId !== undefined)) {
    throw inputError('USAGE', 'Name one backup, or give --all.', `List them: standby backup list ${name}`);
  }
  await confirmed(call, 'Delete these backups?', { cautious: true });
  const { removeBackups } = await import('../control/backup.ts');
  const which = runId === undefined ? ('all' as const) : { runId };
  const { scenario, backups } = await removeBackups(await call.context(), name, which);
  const snapshots = backups.flatMap((one) => one.snapshots.map(({ id }) => id));
  done(call, `${snapshots.length} snapshots of ${backups.length} backups of ${scenario.name} are deleted.`);
  return { scenario: scenario.name, removed: snapshots };
}

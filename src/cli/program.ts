import { Command, CommanderError } from 'commander';
import pkg from '../../package.json' with { type: 'json' };
import { inputError } from '../errors.ts';
import { addAccountCommands } from './account.ts';
import { addApplianceCommands } from './appliance.ts';
import { addAssessCommand } from './assess.ts';
import { addBackupCommands } from './backup.ts';
import { addDemoCommand } from './demo.ts';
import { addDrillCommand } from './drill.ts';
import { addEngineCommands } from './engine.ts';
import { addFailbackCommand } from './failback.ts';
import { failureOf } from './failure.ts';
import { addGroupCommands } from './group-work.ts';
import { addInspectCommand } from './inspect.ts';
import { wrapped } from './layout.ts';
import { addLiveCommands } from './live.ts';
import { addLocalCommands } from './local.ts';
import { addMaintenanceCommands } from './maintenance.ts';
import { addMasterCommands } from './master.ts';
import { addMenuCommand, withMenu } from './menu.ts';
import { addReadinessCommand } from './readiness.ts';
import { addRestoreCommands } from './restore.ts';
import { addRunCommands } from './run.ts';
import { addRunbookCommand } from './runbook.ts';
import { addRunRecordCommands } from './runs.ts';
import { addScenarioCommands } from './scenario.ts';
import { addSeedCommands } from './seed.ts';
import { addServeCommand } from './serve.ts';
import { addServiceCommands } from './service.ts';
import type { Shell } from './shell.ts';
import { addSwitchoverCommands } from './switchover.ts';
import { addWatchSettingCommands } from './watch-settings.ts';

/** Parses the command line, runs one command and gives the exit code. Loads nothing heavy by itself. */
export async function runCommandLine(shell: Shell): Promise<number> {
  const progress = { exitCode: 0 };
  const program = makeProgram(shell, progress);
  try {
    await program.parseAsync([...withMenu(shell.argv)], { from: 'user' });
    return progress.exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    const failure = failureOf(error instanceof CommanderError ? wrongUsage(error) : error);
    const width = shell.stderr.isTTY ? (shell.stdout.columns ?? 80) : Number.POSITIVE_INFINITY;
    const lines = failure.lines.flatMap((line) => wrapped(line, width));
    // Ctrl-C leaves its ^C and the line that was moving, without an end.
    const clear = shell.stderr.isTTY && shell.signal.aborted ? '\r\u001b[2K' : '';
    shell.stderr.write(`${clear}${lines.join('\n')}\n`);
    if (shell.argv.includes('--json')) shell.stdout.write(`${JSON.stringify(failure.document)}\n`);
    return failure.exitCode;
  }
}

function makeProgram(shell: Shell, progress: { exitCode: number }): Command {
  const program = new Command('standby')
    .description('Full-system disaster recovery to Azure. Without a command on a terminal: the main menu.')
    .version(pkg.version, '--version', 'print the version')
    .helpOption('--help', 'show what a command does')
    .enablePositionalOptions(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => shell.stdout.write(text),
      writeErr: () => undefined,
    })
    .hook('postAction', (_, command) => {
      progress.exitCode = command.getOptionValue('exitCode') ?? 0;
    });
  addAccountCommands(program, shell);
  addApplianceCommands(program, shell);
  addMasterCommands(program, shell);
  addScenarioCommands(program, shell);
  addRunCommands(program, shell);
  addSwitchoverCommands(program, shell);
  addBackupCommands(program, shell);
  addGroupCommands(program, shell);
  addFailbackCommand(program, shell);
  addRestoreCommands(program, shell);
  addDrillCommand(program, shell);
  addRunbookCommand(program, shell);
  addLiveCommands(program, shell);
  addMaintenanceCommands(program, shell);
  addAssessCommand(program, shell);
  addWatchSettingCommands(program, shell);
  addServeCommand(program, shell);
  addSeedCommands(program, shell);
  addRunRecordCommands(program, shell);
  addInspectCommand(program, shell);
  addReadinessCommand(program, shell);
  addEngineCommands(program, shell);
  addServiceCommands(program, shell);
  addLocalCommands(program, shell);
  addDemoCommand(program, shell);
  addMenuCommand(program, shell);
  return program;
}

/** Commander's own messages start with `error: `; ours say what to do next. */
function wrongUsage(error: CommanderError): Error {
  if (error.code === 'commander.help') {
    return inputError('USAGE', 'No command was given.', 'standby --help lists them.');
  }
  const message = error.message.replace(/^error: /, '').replace(/^./, (letter) => letter.toUpperCase());
  return inputError(
    'USAGE',
    message.endsWith('.') ? message : `${message}.`,
    'Add --help to see how the command is used.',
  );
}

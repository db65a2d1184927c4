import type { Command } from 'commander';
import { inputError } from '../errors.ts';
import { type Call, leaf } from './command.ts';
import type { Shell } from './shell.ts';

/** What `standby` without a command becomes; a name of its own, because commander has no options without one. */
const MENU = 'menu';

/** `standby` without a command: on a terminal the main menu, elsewhere wrong usage. */
export function addMenuCommand(program: Command, shell: Shell): void {
  const menu = leaf(program, MENU, 'The main menu', shell, openMenu);
  program.addHelpText(
    'after',
    '\nEvery command has --json, --yes and --home.\nAdd --help to a command to see its own options.',
  );
  // Nobody needs to type its name, so it is not listed.
  program.configureHelp({ visibleCommands: (command) => command.commands.filter((one) => one !== menu) });
}

/** The command line with the menu put in where no command was typed. */
export function withMenu(argv: readonly string[]): readonly string[] {
  const asks = argv.some((arg) => arg === '--help' || arg === '--version');
  const valued = argv.indexOf('--home');
  const words = argv.filter((arg, index) => !arg.startsWith('-') && index !== valued + 1);
  const named = valued < 0 ? argv.some((arg) => !arg.startsWith('-')) : words.length > 0;
  return asks || named ? argv : [MENU, ...argv];
}

async function openMenu(call: Call): Promise<unknown> {
  if (call.host.interactive !== true) {
    throw inputError(
      'USAGE',
      'No command was given, and there is no terminal for the menu.',
      'standby --help lists the commands.',
    );
  }
  const wizards = await call.shell.parts.wizards();
  await wizards['main-menu'](await call.context(), { preset: {}, yes: false });
  return { ok: true };
}

import type { Command } from 'commander';
import { acceptedOf, acceptOption, optionText } from './answers.ts';
import { type Call, leaf } from './command.ts';
import { done, note, warn } from './people.ts';
import type { Shell } from './shell.ts';
import { timeOf } from './time-option.ts';

/** A reboot of the master on purpose (G-85 to G-87). Host maintenance without a word is not possible for whole servers (G-83). */
export function addMaintenanceCommands(program: Command, shell: Shell): void {
  const maintenance = program
    .command('maintenance')
    .description('Shutting down or rebooting a master that is followed live, without losing its protection');
  leaf(
    maintenance,
    'begin <scenario>',
    'Before it: says what to do, and stops the scenario if it is to',
    shell,
    begin,
  ).option('--stop', 'stop the scenario, also when it goes on by itself after a reboot');
  acceptOption(
    leaf(
      maintenance,
      'end <scenario>',
      'After it: waits until all has come, or runs the scenario again',
      shell,
      end,
    ),
  ).option(
    '--start-at <time>',
    'run again then: 22:30 (the next), or 2030-01-15T22:30 with or without a zone',
  );
}

async function begin(call: Call): Promise<unknown> {
  const { beginMaintenance } = await import('../control/maintenance.ts');
  const { scenario, status, stopped, steps, notes } = await beginMaintenance(
    await call.context(),
    String(call.args[0]),
    { stop: call.options.stop === true },
  );
  for (const line of notes) warn(call, line);
  if (stopped) warn(call, `${scenario.name} is UNPROTECTED until it runs again.`);
  note(call, steps.map((step, index) => `  ${index + 1}. ${step}`).join('\n'));
  return { scenario: scenario.name, state: status.state, stopped, steps, notes };
}

async function end(call: Call): Promise<unknown> {
  const name = String(call.args[0]);
  const context = await call.context();
  const { awaitMaster, declareMaintenanceEnded, maintenanceEndNeeds } = await import(
    '../control/maintenance.ts'
  );
  let needs = await maintenanceEndNeeds(context, name);
  if (needs === 'wait' && (await awaitMaster(context, name)) === 'run') needs = 'run';
  if (needs === 'run') await runAgain(call, name);
  const status = await declareMaintenanceEnded(context, name);
  done(call, `The maintenance of ${name} has ended; it is ${status.state}.`);
  return { scenario: name, state: status.state, ranAgain: needs === 'run' };
}

async function runAgain(call: Call, name: string): Promise<void> {
  const wizards = await call.shell.parts.wizards();
  const startAt = optionText(call, 'startAt');
  const startAtMs = startAt === undefined ? undefined : timeOf(startAt, call.shell.clock.now());
  const preset = { scenario: name, startAtMs };
  await wizards.run(await call.context(), { preset, yes: call.yes, accept: acceptedOf(call) });
}

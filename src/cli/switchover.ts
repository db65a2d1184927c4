import { type Command, InvalidArgumentError } from 'commander';
import { inputError } from '../errors.ts';
import { type Call, leaf } from './command.ts';
import { confirmed } from './confirm.ts';
import { done } from './people.ts';
import { pointOf } from './point-option.ts';
import type { Shell } from './shell.ts';

export function addSwitchoverCommands(program: Command, shell: Shell): void {
  leaf(
    program,
    'switchover <scenario>',
    'Builds the standby VM from the copied disks and boots it',
    shell,
    switchover,
  )
    .option('--planned', 'the master is there: stop it, wait for all that it has written, compare both ends')
    .option('--undo', 'take back exactly what an unfinished switchover has made')
    .option('--without-appliance', 'with --undo: the appliance is lost; what it holds stays as it is')
    .option('--to <bookmark>', 'live scenarios: latest (default), or a bookmark')
    .option('--to-time <time>', "live scenarios: the state at this time of the master's clock")
    .option('--no-wait-for-journals', 'begin at once: received changes that are not applied yet are lost')
    .option(
      '--accept-unprotected',
      'the replica does not follow its master now: go on from its last position',
    )
    .option('--master-is-down', 'the master cannot be reached to be fenced, and you know that it is off')
    .option('--no-redirect', 'go live without the redirection of the scenario; tell people the new address')
    .option('--no-scripts', "go live without the scenario's scripts")
    .option('--no-patch', 'the copy starts as it is: nothing is changed in it for Azure')
    .option('--accept-unproven-boot', 'you have looked: go live although the boot could not be proven')
    .option(...BOOT_WAIT);
  const vm = program.command('vm').description('The standby VM of a stopped scenario');
  leaf(vm, 'start <scenario>', 'Starts it from the copied disks as they are', shell, start).option(
    ...BOOT_WAIT,
  );
  leaf(vm, 'stop <scenario>', 'Deallocates it, so that it costs no compute', shell, stop).option(
    '--remove',
    'remove the VM, its NICs, addresses and disks; only the replica stays, and what the standby wrote is lost',
  );
}

const BOOT_WAIT = [
  '--boot-wait <seconds>',
  'how long a sign of life of the standby is waited for (default: 600)',
  bootWait,
] as const;

function bootWait(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 10 && value <= 3600) return value;
  throw new InvalidArgumentError('It is a whole number of seconds, 10 to 3600.');
}

async function switchover(call: Call): Promise<unknown> {
  if (call.options.undo === true) return undo(call);
  if (call.options.withoutAppliance === true) {
    throw inputError(
      'UNDO_ONLY',
      '--without-appliance goes with --undo only.',
      'Leave it out, or add --undo.',
    );
  }
  const wizards = await call.shell.parts.wizards();
  const { acceptUnprovenBoot, acceptUnprotected, masterIsDown, planned } = call.options;
  const { waitForJournals, redirect, scripts, patch } = call.options;
  const preset = {
    scenario: call.args[0],
    acceptUnprovenBoot,
    acceptUnprotected,
    masterIsDown,
    planned,
    ...(waitForJournals === false ? { waitForJournals } : {}),
    ...(redirect === false ? { leaveOutRedirect: true } : {}),
    ...(scripts === false ? { leaveOutScripts: true } : {}),
    ...(patch === false ? { leaveOutPatch: true } : {}),
    ...bootWaitOf(call),
    ...pointOf(call),
  };
  const outcome = (await wizards.switchover(await call.context(), { preset, yes: call.yes })) as Outcome;
  return documentOf(outcome);
}

function bootWaitOf({ options: { bootWait: seconds } }: Call): { readonly bootWaitMs?: number } {
  return typeof seconds === 'number' ? { bootWaitMs: seconds * 1000 } : {};
}

type Outcome = import('../control/switchover.ts').SwitchoverOutcome;
type Report = Outcome['report'];

/** The few facts that programs look for stand on top; the whole report follows. */
function documentOf({
  scenario,
  status,
  report,
  loss,
}: {
  scenario: Outcome['scenario'];
  status: Outcome['status'];
  report?: Report;
  loss?: Outcome['loss'];
}) {
  return {
    scenario: scenario.name,
    state: status.state,
    ...(loss ? { loss, rpoSeconds: loss.rpoSeconds } : {}),
    ...(report
      ? {
          vmId: report.vm?.id,
          addresses: report.addresses,
          bootSeconds: report.boot === undefined ? undefined : report.boot.bootMs / 1000,
          totalSeconds: report.totalMs / 1000,
          report,
        }
      : {}),
  };
}

async function undo(call: Call): Promise<unknown> {
  const { undoSwitchover } = await import('../control/switchover.ts');
  const { scenario, status, run } = await undoSwitchover(await call.context(), String(call.args[0]), {
    withoutAppliance: call.options.withoutAppliance === true,
  });
  done(call, `The switchover of ${scenario.name} is taken back; the scenario is ${status.state}.`);
  return { scenario: scenario.name, state: status.state, runId: run.id, runStatus: run.status };
}

async function start(call: Call): Promise<unknown> {
  const wizards = await call.shell.parts.wizards();
  const preset = { scenario: call.args[0], ...bootWaitOf(call) };
  return documentOf((await wizards['vm-start'](await call.context(), { preset, yes: call.yes })) as Outcome);
}

async function stop(call: Call): Promise<unknown> {
  const { stopVm } = await import('../control/vm.ts');
  const remove = call.options.remove === true;
  if (remove)
    await confirmed(call, 'Remove the standby? What it has written since it started is lost.', {
      cautious: true,
    });
  const { scenario, status, run } = await stopVm(await call.context(), String(call.args[0]), { remove });
  done(
    call,
    `The standby VM of ${scenario.name} is ${remove ? 'removed' : 'stopped'}; the scenario is ${status.state}.`,
  );
  return { scenario: scenario.name, state: status.state, runId: run.id, removed: remove };
}

import { realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { inputError, StandbyError } from '../errors.ts';
import type { ServiceSpec, ServiceState, ServiceSystem } from '../master/service/service.ts';
import { optionText } from './answers.ts';
import { type Call, leaf } from './command.ts';
import { masterOptions, masterStateFolder, windowsOf } from './engine.ts';
import { liveSettings } from './live-settings.ts';
import { done, note } from './people.ts';
import type { Shell } from './shell.ts';

/** `standby service`: the engine of this master, run by its system. */
export function addServiceCommands(program: Command, shell: Shell): void {
  const service = program
    .command('service')
    .description('On the master: its engine as a service (systemd, or a scheduled task of Windows)');
  masterOptions(
    leaf(service, 'install', 'Installs the service, or updates it, and starts it', shell, install),
  ).option(
    '--print [system]',
    'print what would be written or run, for `linux` or `windows` (default: this system), and change nothing',
  );
  leaf(service, 'status', 'Tells whether the service is installed and runs', shell, status);
  leaf(
    service,
    'uninstall',
    'Stops and removes the service; what the engine keeps stays',
    shell,
    uninstall,
  ).option(
    '--state <folder>',
    'where the engine keeps its certificate (default: master/ in the home folder)',
  );
}

async function install(call: Call): Promise<unknown> {
  liveSettings(call.options); // What the engine would refuse at its start is refused here.
  const spec = await specOf(call);
  const print = call.options.print;
  if (print !== undefined) {
    const system = await systemFor(call, print === true ? undefined : String(print));
    const definition = system.print(spec);
    if (!call.json) call.shell.stdout.write(definition);
    return { definition };
  }
  const { readMasterIdentity } = await import('../master/identity.ts');
  if (!(await readMasterIdentity(spec.stateFolder))) throw notJoined(spec.stateFolder);
  const state = await (await systemFor(call)).install(spec);
  done(call, `The service ${state.name} is installed: ${state.state}, ${state.detail}.`);
  return { service: state };
}

async function status(call: Call): Promise<unknown> {
  return tell(call, await (await systemFor(call)).status());
}

async function uninstall(call: Call): Promise<unknown> {
  const state = await (await systemFor(call)).uninstall();
  const tools = await windowsOf(call);
  if (tools) {
    // A task of Windows is ended, not asked to end: a view may have been standing.
    const { shadowViewsOf } = await import('../master/windows/shadow-views.ts');
    await shadowViewsOf(masterStateFolder(call), { tools, log: await call.log() }).clean();
  }
  note(call, 'What the engine keeps (certificate, what the appliance has) is still in its state folder.');
  return tell(call, state);
}

function tell(call: Call, state: ServiceState): unknown {
  note(call, `${state.name}: ${state.state}, ${state.detail}.`);
  return { service: state };
}

async function systemFor(call: Call, wanted?: string): Promise<ServiceSystem> {
  const own = process.platform === 'win32' ? 'windows' : 'linux';
  const system = wanted ?? own;
  if (system === 'linux') return (await import('../master/service/systemd.ts')).systemd();
  if (system !== 'windows') {
    throw inputError('SYSTEM_UNKNOWN', `\`--print ${system}\` cannot be.`, 'It is linux or windows.');
  }
  const { scheduledTask } = await import('../master/service/scheduled-task.ts');
  const tools =
    (await windowsOf(call)) ?? (await import('../master/windows/powershell.ts')).windowsTools('C:\\Windows');
  return scheduledTask(tools);
}

/** This very Standby, run by the Node that runs it now. */
async function specOf(call: Call): Promise<ServiceSpec> {
  const stateFolder = resolve(masterStateFolder(call));
  const [, program] = process.argv;
  if (!program) throw new RangeError('a program has a name');
  const engineArguments = ['--state', stateFolder];
  const nbd = optionText(call, 'nbd');
  // A service has another folder to start from.
  if (nbd !== undefined) engineArguments.push('--nbd', /^\d+$/.test(nbd) ? nbd : resolve(nbd));
  for (const name of ['spool', 'interval', 'before', 'after', 'fence'] as const) {
    const value = optionText(call, name);
    if (value !== undefined) engineArguments.push(`--${name}`, value);
  }
  const { read } = call.options;
  for (const each of Array.isArray(read) ? read : []) engineArguments.push('--read', String(each));
  // systemd keeps what is said on standard error; a scheduled task does not.
  const needsLog = process.platform === 'win32' || call.options.print === 'windows';
  const log = optionText(call, 'log') ?? (needsLog ? join(stateFolder, 'engine.log') : undefined);
  if (log !== undefined) engineArguments.push('--log', resolve(log));
  return { node: process.execPath, program: await realpath(program), engineArguments, stateFolder };
}

function notJoined(stateFolder: string): StandbyError {
  return new StandbyError({
    code: 'MASTER_NOT_JOINED',
    what: 'This master has not joined an appliance, so there is nothing for a service to do.',
    why: `There is no certificate in ${stateFolder}.`,
    next: 'Run `standby master join <token>` with the same --state first.',
    kind: 'input',
  });
}

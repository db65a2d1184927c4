import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { inputError, messageOf } from '../errors.ts';
import type { WindowsTools } from '../master/windows/powershell.ts';
import { ENGINE_PORT } from '../model/appliance.ts';
import { type Call, leaf } from './command.ts';
import { liveSettings } from './live-settings.ts';
import { note } from './people.ts';
import type { Shell } from './shell.ts';

/** The two long-running processes: `standby engine master` and `standby engine appliance`. They end at Ctrl-C or SIGTERM with 0. */
export function addEngineCommands(program: Command, shell: Shell): void {
  const engine = program
    .command('engine')
    .description('The processes that run on the master and on the appliance');
  masterOptions(
    leaf(
      engine,
      'master',
      'Runs on the master: sends its disks to the appliance it has joined',
      shell,
      runMaster,
    ),
  ).addHelpText(
    'after',
    [
      '',
      'A guest on served disks, with QEMU:',
      '  standby engine master --nbd /run/standby/nbd.sock',
      '  qemu-system-x86_64 ... -blockdev driver=nbd,node-name=d0,export=disk0,reconnect-delay=3600,server.type=unix,server.path=/run/standby/nbd.sock',
      'It serves them from its start, whether the appliance is reached or not. With reconnect-delay the guest waits when the engine is restarted.',
    ].join('\n'),
  );
  leaf(engine, 'appliance', 'Runs on the appliance: receives disks on port 25000', shell, runAppliance)
    .requiredOption('--state <folder>', 'where the engine keeps its certificate and its records')
    .option('--enrol <file>', 'the one-time enrolment file; needed at the first start only')
    .requiredOption('--luns <folder>', 'the folder in which data disks appear as lun<N>')
    .option(
      '--listen <address:port>',
      'where to listen; STANDBY_LISTEN wins over it',
      `0.0.0.0:${ENGINE_PORT}`,
    );
}

/** What the master's engine takes; its service takes the same. */
export function masterOptions(command: Command): Command {
  return command
    .option(
      '--state <folder>',
      'where the engine keeps its certificate (default: master/ in the home folder)',
    )
    .option(
      '--nbd <socket or port>',
      'serve all joined disks over NBD, on a Unix socket or a port of the loopback address, so that a guest that runs ' +
        'on them is followed write by write (capture nbd); each disk is an export named by its id',
    )
    .option('--spool <MiB>', 'captures by nbd: how much may wait for the appliance, in order (default: 512)')
    .option('--interval <seconds>', 'captures that compare: how often (default: 60)')
    .option(
      '--before <command>',
      'captures that compare: run before a view is read, such as a snapshot; no shell',
    )
    .option('--after <command>', 'captures that compare: run when a view was read')
    .option(
      '--fence <command>',
      'takes this server off the network at a switchover, and at each start until it is released: run with one more ' +
        'argument, disable or enable; no shell',
    )
    .option(
      '--read <disk=path>',
      'captures that compare: where a disk is read once --before is done; may be repeated',
      (value: string, before: readonly string[] = []) => [...before, value],
    )
    .option('--log <file>', 'write the log to a file, kept to some megabytes, instead of standard error');
}

export function masterStateFolder(call: Pick<Call, 'options' | 'config'>): string {
  return typeof call.options.state === 'string' ? call.options.state : join(call.config.homeFolder, 'master');
}

/** Windows' own programs, where this is Windows. */
export async function windowsOf({ config }: Pick<Call, 'config'>): Promise<WindowsTools | undefined> {
  if (process.platform !== 'win32') return undefined;
  const { windowsTools } = await import('../master/windows/powershell.ts');
  return windowsTools(config.systemRoot ?? 'C:\\Windows');
}

async function runMaster(call: Call): Promise<void> {
  const [{ runMasterEngine }, { standardErrorLog, turningLog }] = await Promise.all([
    import('../master/engine.ts'),
    import('./logging.ts'),
  ]);
  const { log: file } = call.options;
  const log =
    typeof file === 'string' ? turningLog(resolve(file), call.config) : standardErrorLog(call.config);
  const windows = await windowsOf(call);
  if (call.host.interactive) note(call, "This master's engine runs; it keeps this terminal. Ctrl-C ends it.");
  const running = runMasterEngine({
    stateFolder: masterStateFolder(call),
    clock: call.shell.clock,
    log,
    signal: call.shell.signal,
    ...(windows ? { windows } : {}),
    ...liveSettings(call.options),
  });
  await running.catch((error: unknown) => {
    // A service has no terminal on which the error is shown.
    if (typeof file === 'string') log.error('the engine ends', { reason: messageOf(error) });
    throw error;
  });
}

async function runAppliance(call: Call): Promise<void> {
  const [{ runApplianceEngine }, { standardErrorLog }] = await Promise.all([
    import('../appliance/engine.ts'),
    import('./logging.ts'),
  ]);
  const enrolFile = call.options.enrol;
  await runApplianceEngine({
    stateFolder: String(call.options.state),
    ...(typeof enrolFile === 'string' ? { enrolFile } : {}),
    lunsFolder: String(call.options.luns),
    listen: listenAddress(call.config.listen ?? String(call.options.listen)),
    clock: call.shell.clock,
    log: standardErrorLog(call.config),
    signal: call.shell.signal,
  });
}

/** `0.0.0.0:25000`, `127.0.0.5:0`, `[::]:25000`. */
export function listenAddress(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (!host || port > 65535) {
    throw inputError(
      'LISTEN_ADDRESS_WRONG',
      `\`${text}\` is no address to listen on.`,
      `Write it as address:port, such as 0.0.0.0:${ENGINE_PORT}.`,
    );
  }
  return { host, port };
}

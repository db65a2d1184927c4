import { hostname } from 'node:os';
import type { Command } from 'commander';
import { isoTime } from '../clock.ts';
import { inputError } from '../errors.ts';
import { answerFlags, optionText, presetOf } from './answers.ts';
import { type Call, leaf } from './command.ts';
import { masterStateFolder, windowsOf } from './engine.ts';
import { done, listing, note, warn } from './people.ts';
import { addPrepareCommand } from './prepare.ts';
import type { Shell } from './shell.ts';

export function addMasterCommands(program: Command, shell: Shell): void {
  const master = program.command('master').description('Masters: the servers to protect');
  answerFlags(leaf(master, 'token', 'Makes a one-time token that lets a master join', shell, token), [
    { name: 'appliance', value: '<name>', text: 'appliance that the master will send to' },
  ]);
  leaf(master, 'list', 'Lists the masters, and lets in who waits with a good token', shell, list);
  leaf(master, 'remove <master>', 'Forgets a master that no scenario protects', shell, remove);
  addPrepareCommand(master, shell);
  leaf(
    master,
    'join <token>',
    'On the master: joins with a one-time token (`-` reads it from standard input)',
    shell,
    join,
  )
    .option(
      '--disk <path>',
      'a disk to protect, device or image file; once for each, the system disk first (Windows: all its own disks)',
      collect,
    )
    .option('--host-name <name>', 'name to be known by (default: this host)')
    .option(
      '--nic <name=address,...>',
      'a NIC of the server, when its disks are not those of this host',
      collect,
    )
    .option(
      '--state <folder>',
      'where the engine keeps its certificate (default: master/ in the home folder)',
    );
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

async function token(call: Call): Promise<unknown> {
  const preset = await presetOf(call, ['appliance']);
  const wizards = await call.shell.parts.wizards();
  const { tokenText, expiresAtMs, appliance, joined } = (await wizards.master(await call.context(), {
    preset,
    yes: call.yes,
  })) as Offer;
  return { token: tokenText, expiresAt: isoTime(expiresAtMs), appliance: appliance.name, joined };
}

type Offer = import('../control/master.ts').JoinOffer & { readonly joined: readonly string[] };

async function list(call: Call): Promise<unknown> {
  const { listMasters } = await import('../control/master.ts');
  const found = await listMasters(await call.context());
  listing(call, 'No master has joined yet: standby master token', {
    columns: ['master', 'appliance', 'engine', 'system', 'firmware', 'disks'],
    rows: found.masters.map(({ master, appliance, state }) => [
      master.name,
      appliance,
      state,
      master.inventory.os.name,
      master.inventory.firmware,
      String(master.inventory.disks.length),
    ]),
  });
  for (const name of found.joined) done(call, `${name} joined.`);
  for (const problem of found.problems) warn(call, problem);
  return found;
}

async function remove(call: Call): Promise<unknown> {
  const { removeMaster } = await import('../control/master.ts');
  const master = await removeMaster(await call.context(), String(call.args[0]));
  done(call, `The master ${master.name} is forgotten here.`);
  return { removed: master.name };
}

async function join(call: Call): Promise<unknown> {
  const { joinMaster } = await import('../master/join.ts');
  const diskPaths = Array.isArray(call.options.disk) ? call.options.disk.map(String) : [];
  const windows = await windowsOf(call);
  if (diskPaths.length === 0 && !windows) {
    throw inputError(
      'DISK_MISSING',
      'No disk is named.',
      'Name every disk of the server, the system disk first: --disk /dev/sda --disk /dev/sdb',
    );
  }
  const joined = await joinMaster({
    tokenText: await tokenText(call, String(call.args[0])),
    diskPaths,
    ...(windows ? { windows } : {}),
    hostName: optionText(call, 'hostName') ?? hostname(),
    ...(Array.isArray(call.options.nic) ? { nics: nicsOf(call.options.nic.map(String)) } : {}),
    stateFolder: masterStateFolder(call),
    clock: call.shell.clock,
    log: await call.log(),
    signal: call.shell.signal,
    onWaiting: () =>
      note(call, 'The token is good. Waiting for control to let this master in (standby master list) ...'),
  });
  for (const { found } of joined.inventory.notices ?? []) warn(call, found);
  done(call, `${joined.inventory.hostName} joined. Start its engine: standby engine master`);
  return joined;
}

/** As it is given, or from standard input. */
export async function tokenText(call: Pick<Call, 'shell'>, given: string): Promise<string> {
  if (given !== '-') return given.trim();
  const chunks: Buffer[] = [];
  for await (const chunk of call.shell.stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8').trim();
}

function nicsOf(texts: readonly string[]) {
  return texts.map((text, index) => {
    const [name = '', addresses = ''] = text.split('=');
    return { id: `nic${index}`, name, addresses: addresses.split(',').filter((one) => one !== '') };
  });
}

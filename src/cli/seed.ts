import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { timeText } from '../clock.ts';
import { inputError } from '../errors.ts';
import type { SeedProgress } from '../seed/tempo.ts';
import { acceptedOf, acceptOption, optionText } from './answers.ts';
import { type Call, leaf } from './command.ts';
import { masterStateFolder } from './engine.ts';
import { cancelled } from './failure.ts';
import { done, note } from './people.ts';
import { bytesText } from './rendering.ts';
import type { Shell } from './shell.ts';

/** The first copy on a disk that travels instead of over the line (docs/SEED.md). */
export function addSeedCommands(program: Command, shell: Shell): void {
  const seed = program
    .command('seed')
    .description('The first copy on a medium that travels, instead of the line');
  acceptOption(
    leaf(
      seed,
      'prepare <scenario>',
      'Makes the replica disks of a scenario and leaves them to a seed',
      shell,
      prepare,
    ),
  );
  leaf(
    seed,
    'export',
    'Writes what the disks hold, sealed, to a file or a device; goes on where it was',
    shell,
    exporting,
  )
    .requiredOption('--to <file>', 'a file or a block device')
    .option('--key-file <file>', 'the key: its text seals the seed; asked for on a terminal without it')
    .option(
      '--state <folder>',
      "where this master's engine keeps its certificate (default: master/ in the home folder)",
    )
    .option(
      '--disk <path>',
      'instead of the disks that this master joined with: a disk or an image, in the same order; may be repeated',
      (value: string, before: readonly string[] = []) => [...before, value],
    )
    .option('--whole', 'also what lies in free blocks: the first copy of a live scenario carries it')
    .option('--overwrite', 'begin anew, whatever the file or the device holds')
    .option('--limit <MiB>', 'read so much a second at most', mebibytes);
  leaf(
    seed,
    'import',
    'On the appliance: writes a seed onto the replica disks; goes on where it was',
    shell,
    importing,
  )
    .requiredOption('--from <file>', 'the seed')
    .requiredOption('--state <folder>', "the appliance's state folder")
    .requiredOption('--luns <folder>', 'the folder in which data disks appear as lun<N>')
    .option('--key-file <file>', 'the key that it was exported with; asked for on a terminal without it')
    .option(
      '--scenario <id>',
      'whose replica, when there are several of this master (seed prepare tells the id)',
    )
    .option('--check', 'only judge it, and write nothing')
    .option('--limit <MiB>', 'write so much a second at most', mebibytes);
}

function mebibytes(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value * 1024 * 1024;
  throw new InvalidArgumentError('It is a number of MiB above 0.');
}

/** Where the first boot puts things (docs/ARCHITECTURE.md). */
const ON_APPLIANCE = '/opt/standby/engine/node /opt/standby/engine/engine.mjs';
const ITS_FOLDERS = '--state /var/lib/standby --luns /dev/disk/azure/scsi1';

async function prepare(call: Call): Promise<unknown> {
  const { prepareSeed } = await import('../control/seed.ts');
  const prepared = await prepareSeed(await call.context(), String(call.args[0]), acceptedOf(call));
  const { scenario, epoch, runId, resumed, disks } = prepared;
  done(call, `The replica disks of ${scenario.name} are attached and wait for a seed. On the master:`);
  note(call, '  standby seed export --to FILE --key-file KEY');
  note(call, 'and on the appliance, to which you bring that file and the key:');
  note(
    call,
    `  sudo ${ON_APPLIANCE} seed import --from FILE --key-file KEY --scenario ${scenario.id} ${ITS_FOLDERS}`,
  );
  note(call, `Then standby run ${scenario.name} sends only what differs.`);
  return {
    scenario: scenario.name,
    scenarioId: scenario.id,
    masterId: scenario.masterId,
    epoch,
    disks,
    runId,
    resumed,
  };
}

async function exporting(call: Call): Promise<unknown> {
  const { exportSeed } = await import('../seed/export.ts');
  const source = await sourceOf(call);
  const report = await exportSeed({
    ...source,
    to: String(call.options.to),
    passphrase: await keyOf(
      call,
      'The key that seals the seed (it is needed again on the appliance)',
      'The same key again',
    ),
    whole: call.options.whole === true,
    overwrite: call.options.overwrite === true,
    ...atWork(call),
  });
  const { seed, dataBytes, fileBytes, already } = report;
  done(
    call,
    already
      ? `${seed} was finished before: ${bytesText(dataBytes)} of data in ${bytesText(fileBytes)}.`
      : `${seed} is finished: ${bytesText(dataBytes)} of data in ${bytesText(fileBytes)}.`,
  );
  return report;
}

async function importing(call: Call): Promise<unknown> {
  const { importSeed } = await import('../seed/import.ts');
  const report = await importSeed({
    from: String(call.options.from),
    passphrase: await keyOf(call, 'The key that the seed was exported with'),
    stateFolder: String(call.options.state),
    lunsFolder: String(call.options.luns),
    scenarioId: optionText(call, 'scenario'),
    check: call.options.check === true,
    ...atWork(call),
  });
  const { dataBytes, exportedAtMs, already, written } = report;
  const what = `${bytesText(dataBytes)} of data, exported ${timeText(exportedAtMs)}`;
  if (written) done(call, `The seed is on the replica disks: ${what}. A run now sends only what differs.`);
  else if (already) done(call, `The seed was imported before: ${what}.`);
  else done(call, `The seed is whole and fits: ${what}. Nothing was written.`);
  return report;
}

/** This master's own disks, or those that are named. */
async function sourceOf(call: Call) {
  const named = call.options.disk as readonly string[] | undefined;
  if (named) return { disks: named.map((path, index) => ({ diskId: `disk${index}`, path })) };
  const { readMasterIdentity } = await import('../master/identity.ts');
  const folder = masterStateFolder(call);
  const identity = await readMasterIdentity(folder);
  if (!identity) {
    throw inputError(
      'MASTER_NOT_JOINED',
      `No master has joined from ${folder}.`,
      'Name its folder (--state), or the disks themselves: --disk PATH, in the order in which the master joined with them.',
    );
  }
  const { masterId, inventory } = identity;
  const disks = inventory.disks.map(({ id: diskId, path }) => ({ diskId, path }));
  return { disks, masterId, hostName: inventory.hostName };
}

const KEY_BYTES_MIN = 12;
const KEY_BYTES_MAX = 4096;

/** Never an argument: from a file, without the line end that editors put there, or from a person; a new one twice. */
async function keyOf(call: Call, ...messages: readonly string[]): Promise<Buffer> {
  const file = optionText(call, 'keyFile');
  if (file !== undefined) return checked(await keyFrom(file));
  const typed: string[] = [];
  for (const message of messages) {
    const question = {
      name: 'seedKey',
      kind: 'secret',
      message,
      noFlag: { from: '--key-file FILE' },
      first: true,
    } as const;
    const answer = await call.host.ask(question, {});
    if (answer.kind === 'back') throw cancelled();
    typed.push(String(answer.value));
  }
  if (new Set(typed).size === 1) return checked(Buffer.from(typed[0] ?? '', 'utf8'));
  throw inputError(
    'SEED_KEY_UNFIT',
    'The key was typed differently the second time.',
    'Give the command again.',
  );
}

async function keyFrom(file: string): Promise<Buffer> {
  try {
    const bytes = await readFile(file);
    const end = bytes.at(-1) === 10 ? (bytes.at(-2) === 13 ? 2 : 1) : 0;
    return bytes.subarray(0, bytes.length - end);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw inputError(
      'SEED_KEY_UNREADABLE',
      `The key file ${file} cannot be read (${code}).`,
      'Check its path.',
    );
  }
}

function checked(key: Buffer): Buffer {
  if (key.length >= KEY_BYTES_MIN && key.length <= KEY_BYTES_MAX) return key;
  throw inputError(
    'SEED_KEY_UNFIT',
    `The key has ${key.length} bytes; ${KEY_BYTES_MIN} to ${KEY_BYTES_MAX} are needed.`,
    'Make one: openssl rand -hex 32 > KEY',
  );
}

const TITLES = { reading: 'Exporting', checking: 'Checking the seed', writing: 'Importing' } as const;

function atWork(call: Call) {
  const { limit } = call.options;
  return {
    clock: call.shell.clock,
    signal: call.shell.signal,
    ...(typeof limit === 'number' ? { bytesPerSecond: limit } : {}),
    onProgress: ({ what, ...facts }: SeedProgress) => {
      const { doneBytes, totalBytes, bytesPerSecond } = facts;
      const secondsLeft =
        bytesPerSecond > 0 ? Math.ceil((totalBytes - doneBytes) / bytesPerSecond) : undefined;
      const left = secondsLeft === undefined ? {} : { secondsLeft };
      call.host.tell({ kind: 'progress', id: `seed-${what}`, title: TITLES[what], ...facts, ...left });
    },
  };
}

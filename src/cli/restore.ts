import { hostname } from 'node:os';
import type { Command } from 'commander';
import { isoTime } from '../clock.ts';
import { inputError, isStandbyError, StandbyError } from '../errors.ts';
import type { RestoreNews } from '../master/restore.ts';
import type { Target } from '../master/restore-target.ts';
import { optionText } from './answers.ts';
import { type Call, leaf } from './command.ts';
import { masterStateFolder } from './engine.ts';
import { tokenText } from './master.ts';
import { done, note, warn } from './people.ts';
import type { Shell } from './shell.ts';

/** The way home, on the machine whose disks are written: the original master, or a machine that takes its place. */
export function addRestoreCommands(program: Command, shell: Shell): void {
  leaf(
    program,
    'restore',
    'On the machine that comes home, from a rescue system: writes the disks of a failback',
    shell,
    restore,
  )
    .option(
      '--target <disk>',
      'a disk to write, device or image file; once for each, with several as /dev/sdb=disk1',
      (value: string, before: readonly string[] = []) => [...before, value],
    )
    .option(
      '--token <token>',
      'from `standby restore-token`, on a machine that has not joined (`-` reads it from standard input)',
    )
    .option('--scenario <id>', 'which scenario, when this server has several')
    .option('--overwrite', 'write disks that hold other data, all of which is lost')
    .option('--once', 'end after what can be had now, although newer data are still to come')
    .option(
      '--state <folder>',
      "where the engine's certificate is, or is to be (default: master/ in the home folder)",
    );
  leaf(
    program,
    'restore-token <scenario>',
    'On control: a one-time token for a machine that takes the place of the master',
    shell,
    token,
  );
}

async function token(call: Call): Promise<unknown> {
  const { offerRestore } = await import('../control/restore.ts');
  const offer = await offerRestore(await call.context(), String(call.args[0]));
  const { scenario, expiresAtMs, tokenText: text } = offer;
  note(call, `On the machine, from a rescue system: standby restore --token ${text} --target /dev/sdX`);
  note(call, 'When it waits there, let it in here: standby master list');
  return { scenario: scenario.name, token: text, expiresAt: isoTime(expiresAtMs) };
}

async function restore(call: Call): Promise<unknown> {
  const [{ restoreDisks }, { parseTarget }] = await Promise.all([
    import('../master/restore.ts'),
    import('../master/restore-target.ts'),
  ]);
  const texts = Array.isArray(call.options.target) ? call.options.target.map(String) : [];
  if (texts.length === 0) {
    throw inputError(
      'TARGET_MISSING',
      'No disk to write is named.',
      'Name every disk of the server: --target /dev/sda (--target /dev/sdb=disk1)',
    );
  }
  const targets = texts.map(parseTarget);
  const stateFolder = masterStateFolder(call);
  const identity = await identityOf(call, stateFolder, targets);
  const scenarioId = optionText(call, 'scenario');
  try {
    const outcome = await restoreDisks({
      identity,
      stateFolder,
      targets,
      overwrite: call.options.overwrite === true,
      once: call.options.once === true,
      ...(scenarioId === undefined ? {} : { scenarioId }),
      clock: call.shell.clock,
      log: await call.log(),
      signal: call.shell.signal,
      tell: telling(call),
    });
    if (outcome.mayBoot)
      done(call, 'The disks are equal to the appliance’s. This server may boot from them now.');
    else
      done(
        call,
        'The disks are equal to what the appliance has now. Newer data are still to come: do not boot.',
      );
    return outcome;
  } catch (error) {
    if (!call.shell.signal.aborted || (isStandbyError(error) && error.kind !== 'failed')) throw error;
    throw new StandbyError({
      code: 'RESTORE_INTERRUPTED',
      what: 'The restore was stopped half-way; these disks do not boot.',
      next: 'Give the same command again: what is there already is not sent again.',
      kind: 'interrupted',
      retry: 'later',
      cause: error,
    });
  }
}

/** With a token the machine comes in first, as its master; without one it has to be that master. */
async function identityOf(call: Call, stateFolder: string, targets: readonly Target[]) {
  const { readMasterIdentity } = await import('../master/identity.ts');
  const given = optionText(call, 'token');
  if (given !== undefined) {
    const { joinMaster } = await import('../master/join.ts');
    await joinMaster({
      tokenText: await tokenText(call, given),
      diskPaths: inOrder(targets).map(({ path }) => path),
      hostName: hostname(),
      stateFolder,
      clock: call.shell.clock,
      log: await call.log(),
      signal: call.shell.signal,
      onWaiting: () =>
        note(call, 'The token is good. Waiting for control to let this machine in (standby master list) ...'),
    });
  }
  const identity = await readMasterIdentity(stateFolder);
  if (identity) return identity;
  throw inputError(
    'MASTER_NOT_JOINED',
    `No master has joined from ${stateFolder}.`,
    'Name its folder (--state), or bring a token: standby restore-token SCENARIO, on control; then --token TOKEN here.',
  );
}

/** A master calls its disks disk0, disk1, ... in the order in which they are named. */
function inOrder(targets: readonly Target[]): readonly Target[] {
  const number = ({ diskId }: Target) => Number(/\d+$/.exec(diskId ?? '')?.[0] ?? Number.NaN);
  return targets.some((target) => Number.isNaN(number(target)))
    ? targets
    : targets.toSorted((a, b) => number(a) - number(b));
}

const TOLD_EVERY_MS = 200;

function telling(call: Call): (news: RestoreNews) => void {
  const { clock } = call.shell;
  let begunAtMs = clock.now();
  let toldAtMs = 0;
  return (news) => {
    switch (news.kind) {
      case 'waiting':
        return note(call, 'Waiting for control: standby failback SCENARIO ...');
      case 'interrupted':
        return warn(call, `${news.reason} It goes on by itself.`);
      case 'proving':
        return note(call, 'Both ends read all of their disks, to prove that they are equal ...');
      case 'differs':
        return note(call, 'Some blocks differ; they are sent again.');
      case 'begins':
        begunAtMs = clock.now();
        return;
      case 'equal':
        if (!news.final)
          note(call, 'Equal so far. The last difference comes with: standby failback SCENARIO --finish');
        return;
      case 'progress': {
        const now = clock.now();
        const { doneBytes, totalBytes } = news;
        if (now - toldAtMs < TOLD_EVERY_MS && doneBytes < totalBytes) return;
        toldAtMs = now;
        const bytesPerSecond = now > begunAtMs ? (doneBytes * 1000) / (now - begunAtMs) : 0;
        const secondsLeft = Math.ceil((totalBytes - doneBytes) / bytesPerSecond);
        const left = bytesPerSecond > 0 ? { secondsLeft } : {};
        call.host.tell({
          kind: 'progress',
          id: 'restore',
          title: 'Restoring',
          doneBytes,
          totalBytes,
          bytesPerSecond,
          ...left,
        });
      }
    }
  };
}

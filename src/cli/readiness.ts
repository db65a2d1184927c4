import type { Command } from 'commander';
import { timeText } from '../clock.ts';
import { inputError } from '../errors.ts';
import type { Readiness } from '../model/readiness.ts';
import { optionText } from './answers.ts';
import { type Call, leaf, Outcome } from './command.ts';
import { note, tellAll } from './people.ts';
import type { Shell } from './shell.ts';

const CHECKS_FAILED = 3;

export function addReadinessCommand(program: Command, shell: Shell): void {
  leaf(
    program,
    'readiness [scenario]',
    'Tells whether a server would start in Azure, fact by fact, from its replica or a disk, without starting it',
    shell,
    readiness,
  )
    .option('--disk <image>', 'look at a raw disk image or a block device instead; it is only read')
    .option(
      '--bookmark <bookmark>',
      'what was found when this bookmark was set; the replica stays where it is',
    );
}

async function readiness(call: Call): Promise<unknown> {
  const [scenario] = call.args;
  const disk = optionText(call, 'disk');
  if ((scenario === undefined) === (disk === undefined)) {
    throw inputError('USAGE', 'Either a scenario or --disk IMAGE is needed.', 'standby readiness --help');
  }
  const bookmark = optionText(call, 'bookmark');
  if (bookmark !== undefined && scenario === undefined) {
    throw inputError('USAGE', '--bookmark belongs to a scenario.', 'standby readiness --help');
  }
  const { readinessOfBookmark, readinessOfDisk, readinessOfScenario } = await import(
    '../control/readiness.ts'
  );
  if (disk !== undefined) return shown(call, disk, await readinessOfDisk(disk, call.shell.signal));
  const name = String(scenario);
  if (bookmark !== undefined)
    return told(call, await readinessOfBookmark(await call.context(), name, bookmark));
  return shown(call, name, await readinessOfScenario(await call.context(), name));
}

async function shown(call: Call, subject: string, found: Readiness): Promise<unknown> {
  const generation = found.generation ? `, generation ${found.generation}` : '';
  await tellAll(call, `${subject}: ${found.os.name}${generation}`, found.verdicts);
  for (const change of found.sealed?.changes ?? []) note(call, `A switchover changes in the copy: ${change}`);
  const isCured = found.sealed?.verdict === 'ready';
  note(call, `${subject}: ${isCured ? CURED : WORDS[found.verdict]}`);
  return found.verdict === 'not ready' ? new Outcome(found, CHECKS_FAILED) : found;
}

type OfBookmark = Awaited<ReturnType<typeof import('../control/readiness.ts').readinessOfBookmark>>;

function told(call: Call, kept: OfBookmark): unknown {
  for (const { code, status, found } of kept.faults) note(call, `${code} (${status}): ${found}`);
  if (kept.why) note(call, kept.why);
  note(
    call,
    `${kept.scenario}, bookmark ${kept.bookmark}, at ${timeText(kept.atMs)}: ${WORDS[kept.verdict]}`,
  );
  return kept.verdict === 'not ready' ? new Outcome(kept, CHECKS_FAILED) : kept;
}

const CURED =
  'NOT READY as it is. A switchover changes that in the copy; better cure it on the master, and copy again.';
const WORDS = {
  ready: 'nothing was found that would stop its start in Azure.',
  'not ready': 'NOT READY. Cure what failed on the master, and copy again.',
  'not proven': 'NOT PROVEN. Nothing wrong was found, but not everything could be looked at.',
} as const;

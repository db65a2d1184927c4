import type { Command } from 'commander';
import { type Call, leaf, Outcome } from './command.ts';
import { note, tellAll } from './people.ts';
import type { Shell } from './shell.ts';

const CHECKS_FAILED = 3;

export function addReadinessCommand(program: Command, shell: Shell): void {
  leaf(
    program,
    'readiness',
    'Tells whether the server on a disk would start in Azure, fact by fact, without starting it',
    shell,
    readiness,
  ).requiredOption('--disk <image>', 'a raw disk image or a block device; it is only read');
}

async function readiness(call: Call): Promise<unknown> {
  const { readinessOfDisk } = await import('../control/readiness.ts');
  const found = await readinessOfDisk(String(call.options.disk), call.shell.signal);
  const generation = found.generation ? `, generation ${found.generation}` : '';
  await tellAll(call, `${found.disk}: ${found.os.name}${generation}`, found.verdicts);
  note(call, `${found.disk}: ${WORDS[found.verdict]}`);
  return found.verdict === 'not ready' ? new Outcome(found, CHECKS_FAILED) : found;
}

const WORDS = {
  ready: 'nothing was found that would stop its start in Azure.',
  'not ready': 'NOT READY. Cure what failed on the master, and copy again.',
  'not proven': 'NOT PROVEN. Nothing wrong was found, but not everything could be looked at.',
} as const;

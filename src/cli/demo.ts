import type { Command } from 'commander';
import { type Call, leaf, Outcome, outside } from './command.ts';
import type { Shell } from './shell.ts';

export function addDemoCommand(program: Command, shell: Shell): void {
  leaf(
    program,
    'demo [verb]',
    'The whole job on Local Azure: copy a running server, kill it, switch over, boot the standby',
    shell,
    runDemo,
  )
    .option('--firmware <kind>', 'how the demo server boots: bios or uefi', 'bios')
    .option(
      '--capture <method>',
      'nbd: the server runs, is followed, and is killed; at-rest: it stands still',
      'nbd',
    )
    .option(
      '--story <name>',
      'switchover: until the standby serves; outage: with a drill before, and the way home afterwards',
      'switchover',
    )
    .option('--keep', 'leave everything running at the end; `standby demo down` ends it');
}

async function runDemo(call: Call): Promise<unknown> {
  const exitCode = await call.shell.parts.demo(await outside(call));
  return new Outcome(undefined, exitCode);
}

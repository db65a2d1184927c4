import type { Command } from 'commander';
import { type Call, leaf } from './command.ts';
import { wrapped } from './layout.ts';
import type { Shell } from './shell.ts';

export function addRunbookCommand(program: Command, shell: Shell): void {
  leaf(
    program,
    'runbook <scenario>',
    'Prints what to do in an outage, with the real names: put it beside the telephone',
    shell,
    print,
  );
}

async function print(call: Call): Promise<unknown> {
  const { runbookOf } = await import('../control/runbook.ts');
  const found = await runbookOf(await call.context(), String(call.args[0]));
  const { isTTY, columns } = call.shell.stdout;
  const width = isTTY ? (columns ?? 80) : Number.POSITIVE_INFINITY;
  const lines = found.markdown.split('\n').flatMap((line) => wrapped(line, width));
  if (!call.json) call.shell.stdout.write(lines.join('\n'));
  return found;
}

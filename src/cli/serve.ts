import { type Command, InvalidArgumentError } from 'commander';
import { type Call, leaf } from './command.ts';
import { eventHost } from './event-host.ts';
import { note } from './people.ts';
import type { Shell } from './shell.ts';

export function addServeCommand(program: Command, shell: Shell): void {
  leaf(
    program,
    'serve',
    'Looks after all scenarios until Ctrl-C: verifies, follows, compares on schedule; never switches over',
    shell,
    serveCommand,
  )
    .option('--once', 'do everything once and end, for a job scheduler')
    .option('--every <seconds>', 'how often to look how well scenarios are protected (default: 10)', seconds)
    .option('--lag <seconds>', 'a replica further behind than this is an event (default: 60)', seconds)
    .addHelpText(
      'after',
      [
        '',
        'Each 15 minutes every scenario is verified; masters are tried as `standby is-alive` says, and both ends are',
        'compared as `standby scrub --every` says. What changes is an event: standby events. One process leads for',
        'each store; others that are started wait and take over when it ends. With --json one document a line.',
      ].join('\n'),
    );
}

function seconds(text: string): number {
  const value = Number(text);
  if (value >= 0.1 && value <= 86_400) return value;
  throw new InvalidArgumentError('It is a number of seconds, 0.1 to 86400.');
}

async function serveCommand(call: Call): Promise<unknown> {
  const { serve } = await import('../control/serve.ts');
  const context = await call.context();
  const once = call.options.once === true;
  if (!once && call.host.interactive)
    note(call, 'It keeps this terminal. Ctrl-C ends it, and changes nothing.');
  await serve(call.json ? { ...context, host: eventHost(call) } : context, {
    once,
    limits: {
      everyMs: milliseconds(call.options.every, 10),
      lagSeconds: milliseconds(call.options.lag, 60) / 1000,
    },
  });
  return { ended: once ? 'once' : 'asked' };
}

function milliseconds(value: unknown, fallbackSeconds: number): number {
  return (typeof value === 'number' ? value : fallbackSeconds) * 1000;
}

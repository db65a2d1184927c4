import type { Command } from 'commander';
import { timeText } from '../clock.ts';
import { isAliveText } from '../control/status-words.ts';
import { inputError } from '../errors.ts';
import { optionText } from './answers.ts';
import { type Call, leaf } from './command.ts';
import { commandLine } from './live-settings.ts';
import { done, note } from './people.ts';
import { bytesText, durationText } from './rendering.ts';
import type { Shell } from './shell.ts';
import { rewindText } from './status-notices.ts';

/** What may be set at any time, also while a scenario replicates: how its master is tried, and how far back it can go. */
export function addWatchSettingCommands(program: Command, shell: Shell): void {
  leaf(
    program,
    'is-alive <scenario>',
    'Shows or sets how standby serve tries the master; it only tells',
    shell,
    isAlive,
  )
    .option('--ping <on or off>', 'ping it')
    .option('--tcp <port>', 'a port that accepts connections, or off')
    .option(
      '--script <command>',
      'a program of this machine that ends with 0 when it lives (no shell), or off',
    )
    .option(
      '--address <host>',
      "where it is reached from here, or off: the first address of the master's own",
    );
  leaf(
    program,
    'retention <scenario>',
    'Shows or sets how far back the replica of a live scenario can be brought',
    shell,
    retentionCommand,
  )
    .option('--hours <number>', 'go back so many hours (0: keep nothing)')
    .option('--gib <number>', 'keep so much of what was overwritten, at most')
    .option('--default', "the appliance's own measure: 24 hours, half of the journal's space");
}

async function isAlive(call: Call): Promise<unknown> {
  const control = await import('../control/is-alive.ts');
  const { ping } = call.options;
  if (ping !== undefined && ping !== 'on' && ping !== 'off')
    throw wrong(`--ping ${String(ping)}`, 'Write --ping on or --ping off.');
  const tcp = optionText(call, 'tcp');
  const script = optionText(call, 'script');
  const address = optionText(call, 'address');
  const change = {
    ...(ping === undefined ? {} : { ping: ping === 'on' }),
    ...(tcp === undefined ? {} : { tcpPort: tcp === 'off' ? null : portOf(tcp) }),
    ...(script === undefined
      ? {}
      : { script: script === 'off' ? null : (commandLine(script, '--script') ?? null) }),
    ...(address === undefined ? {} : { address: address === 'off' ? null : address }),
  };
  const isChange = Object.keys(change).length > 0;
  const { scenario, status } = await control.isAliveSettings(
    await call.context(),
    String(call.args[0]),
    isChange ? change : undefined,
  );
  const text = isAliveText(scenario);
  done(call, `Is-alive of ${scenario.name} is ${text}.`);
  if (text !== 'off') note(call, 'standby serve tries it while the master is followed live; it only tells.');
  return { scenario: scenario.name, ...scenario.isAlive, found: status.isAliveFound ?? null };
}

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65535) return port;
  throw wrong(`--tcp ${text}`, 'Write a port from 1 to 65535, or off.');
}

const GIB = 1024 ** 3;

async function retentionCommand(call: Call): Promise<unknown> {
  const { retention } = await import('../control/retention.ts');
  const hours = numberOf(call, 'hours');
  const gib = numberOf(call, 'gib');
  const isOwn = call.options.default === true;
  if (isOwn && (hours !== undefined || gib !== undefined))
    throw wrong('--default', 'Give --default alone, or --hours and --gib.');
  const change = {
    ...(hours === undefined ? {} : { hours }),
    ...(gib === undefined ? {} : { bytes: Math.round(gib * GIB) }),
  };
  const isChange = isOwn || Object.keys(change).length > 0;
  const found = await retention(await call.context(), String(call.args[0]), isChange ? change : undefined);
  const { scenario, wanted, journal } = found;
  const parts = [
    ...(wanted?.hours === undefined ? [] : [durationText(wanted.hours * 3_600_000)]),
    ...(wanted?.bytes === undefined ? [] : [`${bytesText(wanted.bytes)} at most`]),
  ];
  done(call, `${scenario.name} keeps ${parts.join(', ') || "the appliance's own measure"} to go back to.`);
  if (journal) note(call, `On the appliance now: ${rewindText(journal)}`);
  return {
    scenario: scenario.name,
    wanted: wanted ?? null,
    ...(journal
      ? {
          keptMs: journal.rewindLimitMs,
          keptBytes: journal.rewindLimitBytes,
          rewindBytes: journal.rewindBytes,
          ...(journal.rewindFromMs > 0
            ? { rewindFromMs: journal.rewindFromMs, rewindFrom: timeText(journal.rewindFromMs) }
            : {}),
        }
      : {}),
  };
}

function numberOf(call: Call, name: string): number | undefined {
  const text = optionText(call, name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0) return value;
  throw wrong(`--${name} ${text}`, 'It is a number, 0 or more.');
}

function wrong(what: string, next: string) {
  return inputError('OPTION_WRONG', `\`${what}\` cannot be.`, next);
}

import { join } from 'node:path';
import type { Command } from 'commander';
import type { Config } from '../config.ts';
import type { Context } from '../control/context.ts';
import { isStandbyError, messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Host } from '../ports/host.ts';
import { jsonHost } from './json-host.ts';
import { plainHost } from './plain-host.ts';
import type { OutsideCall, Shell } from './shell.ts';

/** One run of one command: what was typed, who is there, and the parts it asks for (each made at its first use). */
export interface Call {
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
  readonly json: boolean;
  readonly yes: boolean;
  readonly shell: Shell;
  readonly config: Config;
  readonly host: Host;
  log(): Promise<Log>;
  context(): Promise<Context>;
  /** One JSON document on one line of standard output, before the result (`run --json`). Nothing without `--json`. */
  emit(document: unknown): void;
}

/** What a command gives back: the document of `--json`, and an exit code when it is not 0. */
export class Outcome {
  readonly document: unknown;
  readonly exitCode: number;
  constructor(document: unknown, exitCode: number) {
    this.document = document;
    this.exitCode = exitCode;
  }
}

export type Act = (call: Call) => Promise<unknown>;

/** A command with the options that every command has. `act` gives the document that `--json` prints. */
export function leaf(parent: Command, spec: string, summary: string, shell: Shell, act: Act): Command {
  const command = parent
    .command(spec)
    .description(summary)
    .option('--json', 'print one JSON document on standard output, and nothing else there')
    .option('--yes', 'answer the last question (go on?) with yes')
    .option('--home <folder>', 'where Standby keeps its store (default: STANDBY_HOME, or ~/.standby)');
  command.action(async () => {
    await perform(shell, command, act);
  });
  return command;
}

async function perform(shell: Shell, command: Command, act: Act): Promise<void> {
  const options: Record<string, unknown> = command.optsWithGlobals();
  const json = options.json === true;
  const home = typeof options.home === 'string' ? options.home : undefined;
  const config = await shell.config(home);
  const host = await hostFor(shell, json, config);
  let log: Promise<Log> | undefined;
  let opened: Promise<Context & { close(): Promise<void> }> | undefined;
  const call: Call = {
    args: command.processedArgs.flat().filter((arg: unknown) => typeof arg === 'string'),
    options,
    json,
    yes: options.yes === true,
    shell,
    config,
    host,
    log: () => {
      log ??= import('./logging.ts').then(({ fileLog }) =>
        fileLog(join(config.homeFolder, 'standby.log'), config),
      );
      return log;
    },
    context: () => {
      opened ??= openFor(call);
      return opened;
    },
    emit: (document) => {
      if (json && document !== undefined) shell.stdout.write(`${JSON.stringify(document)}\n`);
    },
  };
  try {
    const result = await act(call);
    const outcome = result instanceof Outcome ? result : new Outcome(result ?? { ok: true }, 0);
    call.emit(outcome.document);
    command.setOptionValueWithSource('exitCode', outcome.exitCode, 'implied');
  } catch (error) {
    if (!isStandbyError(error)) await noteDefect(call, error);
    throw error;
  } finally {
    if (opened)
      await opened.then(
        (context) => context.close(),
        () => undefined, // It never opened; the error was thrown above.
      );
  }
}

async function openFor(call: Call): Promise<Context & { close(): Promise<void> }> {
  const { openContext } = await import('./open-context.ts');
  return openContext({ shell: call.shell, config: call.config, host: call.host, log: await call.log() });
}

async function noteDefect(call: Call, error: unknown): Promise<void> {
  const stack = error instanceof Error ? error.stack : undefined;
  (await call.log()).error('unexpected error', { message: messageOf(error), stack });
}

async function hostFor(shell: Shell, json: boolean, { color }: Config): Promise<Host> {
  if (json) return jsonHost(shell);
  if (!shell.stdin.isTTY || !shell.stdout.isTTY) return plainHost(shell);
  return (await shell.parts.terminalHost())(shell, { color });
}

export async function outside(call: Call): Promise<OutsideCall> {
  return {
    args: call.args,
    options: call.options,
    homeFolder: call.config.homeFolder,
    host: call.host,
    json: call.json,
    clock: call.shell.clock,
    log: await call.log(),
    signal: call.shell.signal,
    processId: call.shell.processId,
    cacheFolder: call.config.cacheFolder,
    environment: call.shell.childEnvironment,
    print: call.emit,
  };
}

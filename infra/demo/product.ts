import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { StandbyError } from '../../src/errors.ts';

/**
 * The demo uses Standby as a person would: through its command line, one process for each command.
 * Commands run with `--json`, so the demo reads documents and never scrapes text.
 */
export interface CommandResult {
  readonly exitCode: number;
  /** Every JSON document the command printed; the last is its result. */
  readonly documents: readonly Readonly<Record<string, unknown>>[];
  readonly result: Readonly<Record<string, unknown>>;
}

export interface CommandOptions {
  readonly home: string;
  /** Without Standby's own variables: the demo has its own home and store. */
  readonly environment: NodeJS.ProcessEnv;
  /** Standard input: how a secret goes to a command. */
  readonly input?: string;
  /** Exit codes besides 0 that are an answer, not a failure. */
  readonly alsoFine?: readonly number[];
  readonly signal: AbortSignal;
  onDocument?(document: Readonly<Record<string, unknown>>): void;
  /** Lines for people: what the command would have shown on its screen. */
  onLine?(line: string): void;
}

export const MAIN = join(import.meta.dirname, '../../src/main.ts');

export function standby(args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  const child = spawn(process.execPath, [MAIN, ...args, '--home', options.home, '--json'], {
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: options.environment,
    signal: options.signal,
    killSignal: 'SIGTERM',
  });
  child.stdin?.end(options.input);
  return new Promise((resolve, reject) => {
    const documents: Record<string, unknown>[] = [];
    let errorText = '';
    let rest = '';
    onLines(child, 'stdout', (line) => {
      const document = parseDocument(`${rest}${line}`);
      if (document === undefined) {
        rest += `${line}\n`;
        return;
      }
      rest = '';
      documents.push(document);
      options.onDocument?.(document);
    });
    onLines(child, 'stderr', (line) => {
      errorText = `${errorText}${line}\n`.slice(-4000);
      options.onLine?.(line);
    });
    child.once('error', reject);
    child.once('close', (code, killedBy) => {
      const exitCode = code ?? (killedBy ? 128 : 1);
      const result = documents.at(-1) ?? {};
      if (exitCode === 0 || options.alsoFine?.includes(exitCode))
        return resolve({ exitCode, documents, result });
      reject(commandFailed(args, exitCode, result, errorText));
    });
  });
}

function parseDocument(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch (error) {
    // A document may be printed over several lines: what does not parse yet waits for its next line.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export function onLines(
  child: ChildProcess,
  stream: 'stdout' | 'stderr',
  take: (line: string) => void,
): void {
  let rest = '';
  child[stream]?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
  });
  child[stream]?.on('end', () => rest && take(rest));
}

function commandFailed(
  args: readonly string[],
  exitCode: number,
  result: Record<string, unknown>,
  errorText: string,
) {
  const error = (result.error ?? {}) as Partial<Record<'code' | 'what' | 'why' | 'next', string>>;
  return new StandbyError({
    code: error.code ?? 'DEMO_COMMAND_FAILED',
    what: `\`standby ${args.join(' ')}\` ended with exit code ${exitCode}. ${error.what ?? ''}`.trim(),
    why: error.why ?? errorText.trim().split('\n').slice(-6).join('\n'),
    ...(error.next ? { next: error.next } : {}),
  });
}

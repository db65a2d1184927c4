import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { flagOf } from '../control/screen.ts';
import { inputError, messageOf } from '../errors.ts';
import type { Call } from './command.ts';

/** One answer as a flag: its name is the question's, and `--help` says what it is. */
export interface AnswerFlag {
  readonly name: string;
  /** `<text>` takes a value; `[yes|no]` may stand alone and then means yes. */
  readonly value: string;
  readonly text: string;
  /** Works, but is not listed. */
  readonly hidden?: boolean;
}

/** Gives a command a flag for each answer, and `--answers FILE` for all of them. */
export function answerFlags(command: Command, flags: readonly AnswerFlag[]): Command {
  for (const { name, value, text, hidden } of flags) {
    const option = command.createOption(`${flagOf(name)} ${value}`, text);
    command.addOption(hidden ? option.hideHelp() : option);
  }
  return command.option('--answers <file>', 'answers from a JSON or YAML file; flags win over it');
}

const FILE_BYTES_MAX = 1024 * 1024;

/** What is answered already: the answers file, and the flags over it. Unknown keys and secrets in the file are refused. */
export async function presetOf(
  call: Call,
  names: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  const fromFile =
    typeof call.options.answers === 'string' ? await readAnswers(call.options.answers, names) : {};
  const fromFlags = Object.fromEntries(
    names.flatMap((name) => (call.options[name] === undefined ? [] : [[name, call.options[name]]])),
  );
  return { ...fromFile, ...fromFlags };
}

async function readAnswers(file: string, names: readonly string[]): Promise<Record<string, unknown>> {
  const { parse } = await import('yaml');
  let parsed: unknown;
  try {
    const text = await readFile(file, 'utf8');
    if (text.length > FILE_BYTES_MAX) throw new Error('it is too large');
    parsed = parse(text, { maxAliasCount: 10 });
  } catch (error) {
    throw inputError('ANSWERS_UNREADABLE', `The answers file ${file} cannot be read: ${messageOf(error)}.`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw inputError(
      'ANSWERS_UNREADABLE',
      `The answers file ${file} holds no answers by name.`,
      'Write one `name: value` a line.',
    );
  }
  const answers = parsed as Record<string, unknown>;
  if ('clientSecret' in answers) {
    throw inputError(
      'SECRET_IN_FILE',
      `The answers file ${file} holds a client secret; secrets are not read from there.`,
      'Give it through --client-secret-stdin or STANDBY_CLIENT_SECRET, and take it out of the file.',
    );
  }
  const unknown = Object.keys(answers).filter((name) => !names.includes(name));
  if (unknown.length === 0) return answers;
  throw inputError(
    'ANSWERS_UNKNOWN',
    `The answers file ${file} answers what is not asked: ${unknown.join(', ')}.`,
    `Known here: ${names.join(', ')}.`,
  );
}

const SECRET_BYTES_MAX = 8 * 1024;

/** The client secret, from standard input or the environment; never from an argument. */
export async function clientSecretOf(call: Call): Promise<string | undefined> {
  if (call.options.clientSecretStdin !== true) return call.config.clientSecret;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of call.shell.stdin) {
    chunks.push(Buffer.from(chunk));
    bytes += chunks.at(-1)?.length ?? 0;
    if (bytes > SECRET_BYTES_MAX)
      throw inputError('SECRET_TOO_LONG', 'Standard input holds more than a client secret.');
  }
  const secret = Buffer.concat(chunks).toString('utf8').trim();
  if (secret === '') {
    throw inputError(
      'SECRET_MISSING',
      'Standard input held no client secret.',
      'Pipe it in: standby account add --client-secret-stdin < FILE',
    );
  }
  return secret;
}

export function optionText(call: Call, name: string): string | undefined {
  const value = call.options[name];
  return typeof value === 'string' ? value : undefined;
}

/** `--accept A --accept B,C` as a list. */
export function acceptOption(command: Command): Command {
  return command.option(
    '--accept <code>',
    'accept a warning by its code; may be given several times',
    (value: string, before: readonly string[] = []) => [
      ...before,
      ...value.split(',').map((one) => one.trim()),
    ],
  );
}

export function acceptedOf(call: Call): readonly string[] {
  return Array.isArray(call.options.accept) ? call.options.accept.map(String) : [];
}

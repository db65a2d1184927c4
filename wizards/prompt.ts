import type { Readable } from 'node:stream';
import { styleText } from 'node:util';
import { wrapped } from '../src/cli/layout.ts';
import type { Shell } from '../src/cli/shell.ts';
import { problemOf, valueFor } from '../src/control/screen.ts';
import type { Question } from '../src/model/question.ts';
import type { Answer } from '../src/ports/host.ts';
import { leftTheWizard } from './wizard.ts';

const BACK = '\u0000back';
const backChoice = (question: Question) => ({ value: BACK, name: question.first ? '< leave' : '< back' });

/**
 * Lists have a choice `< back`; where a text is typed, `<` alone goes back; Esc does everywhere.
 * Ctrl-C rejects as cancelled.
 */
export async function prompt(
  question: Question,
  shell: Pick<Shell, 'stdin' | 'stdout' | 'signal'>,
  width: number,
): Promise<Answer> {
  const leaving = new AbortController();
  const onKey = (_: unknown, key?: { name?: string }): void => {
    if (key?.name === 'escape') leaving.abort();
  };
  shell.stdin.on('keypress', onKey);
  try {
    const value = await show(question, {
      signal: AbortSignal.any([leaving.signal, shell.signal]),
      input: shell.stdin,
      output: shell.stdout,
      width,
      // A list that was left with Esc makes room; an answer stays to be read.
      get clearPromptOnDone() {
        return leaving.signal.aborted;
      },
    });
    if (value === BACK) return { kind: 'back' };
    return { kind: 'value', value };
  } catch (error) {
    if (leaving.signal.aborted && !shell.signal.aborted) return { kind: 'back' };
    // Prompts reject with these when the person pressed Ctrl-C, or when the process was asked to stop.
    if (error instanceof Error && ['ExitPromptError', 'AbortPromptError'].includes(error.name)) {
      shell.stdout.write('\n');
      throw leftTheWizard();
    }
    throw error;
  } finally {
    shell.stdin.off('keypress', onKey);
  }
}

interface PromptPlace {
  readonly signal: AbortSignal;
  readonly input: Readable;
  readonly output: Shell['stdout'];
  readonly clearPromptOnDone: boolean;
  /** Of the terminal. */
  readonly width: number;
}

async function show(question: Question, place: PromptPlace): Promise<unknown> {
  const prompts = await import('@inquirer/prompts');
  const { message } = question;
  switch (question.kind) {
    case 'select':
      return chooseOne(question, message, place);
    case 'multiselect':
      return prompts.checkbox({ message, ...checkboxChoices(question) }, place);
    case 'confirm':
      return prompts.select(
        {
          message,
          choices: [{ value: 'yes', name: 'yes' }, { value: 'no', name: 'no' }, backChoice(question)],
          ...defaultOf(question),
          theme: withEscape(question),
        },
        place,
      );
    case 'secret':
      return fromTyped(
        await prompts.password({ message, mask: '*', ...typing(question, place) }, place),
        question,
      );
    default: {
      const proposal = question.default === undefined ? {} : { default: String(question.default) };
      return fromTyped(
        await prompts.input({ message, ...proposal, ...typing(question, place) }, place),
        question,
      );
    }
  }
}

/** How to go back stands beside the question until it is answered. */
function typing(question: Question, { width }: PromptPlace) {
  const empty = question.optional && question.default !== undefined ? ', Backspace: none' : '';
  const ways = `(< or Esc: back${empty})`;
  return {
    validate: (text: string) => typedProblem(question, text, width),
    theme: {
      style: {
        message: (text: string, status: string) =>
          styleText('bold', status === 'done' ? text : `${text} ${ways}`),
      },
    },
  };
}

/** In a long list the choice `< back` is out of sight, so the line of keys names Esc too. */
function withEscape(question: Question) {
  const leaving: [string, string] = ['esc', question.first ? 'leave' : 'back'];
  return {
    style: {
      keysHelpTip: (keys: [key: string, action: string][]): string =>
        [...keys, leaving].map(([key, action]) => `${key} ${action}`).join(' • '),
    },
  };
}

const OTHER = '\u0000other';

async function chooseOne(question: Question, message: string, place: PromptPlace): Promise<unknown> {
  const prompts = await import('@inquirer/prompts');
  const other = question.other ? [{ value: OTHER, name: `${question.other} (type its name)` }] : [];
  const value = await prompts.select(
    {
      message,
      choices: [...listed(question), ...other, backChoice(question)],
      ...defaultOf(question),
      pageSize: 12,
      loop: false,
      theme: withEscape(question),
    },
    place,
  );
  return value === OTHER ? show({ ...question, kind: 'text' }, place) : value;
}

function listed(question: Question) {
  return (question.choices ?? []).map((choice) => ({
    value: choice.value,
    name: choice.label,
    ...(choice.disabled ? { disabled: `(${choice.disabled})` } : {}),
  }));
}

function checkboxChoices(question: Question) {
  const chosen = Array.isArray(question.default) ? question.default : [];
  return {
    // No choice `< back` here: `a` (all) would choose it too. Esc goes back, as the line of keys says.
    choices: listed(question).map((choice) => ({ ...choice, checked: chosen.includes(choice.value) })),
    loop: false,
    pageSize: 12,
    theme: withEscape(question),
  };
}

function defaultOf(question: Question): { default?: string } {
  const { default: proposal, choices = [], cautious } = question;
  const usable = choices.filter((choice) => !choice.disabled);
  // The cursor begins on something that can be taken.
  if (usable[0] && !usable.some((choice) => choice.value === proposal)) return { default: usable[0].value };
  if (cautious) return { default: 'no' };
  if (typeof proposal === 'boolean') return { default: proposal ? 'yes' : 'no' };
  return typeof proposal === 'string' ? { default: proposal } : {};
}

function typedProblem(question: Question, text: string, width: number): true | string {
  if (text.trim() === '<') return true;
  const problem = problemOf(question, valueFor(question, text));
  // The prompt puts `> ` before it.
  return problem === undefined ? true : wrapped(problem, width - 2).join('\n');
}

function fromTyped(text: string, question: Question): unknown {
  if (text.trim() === '<') return BACK;
  return text === '' && question.optional ? undefined : text;
}

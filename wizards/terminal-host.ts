import type { Readable } from 'node:stream';
import { linesOf, progressLine } from '../src/cli/rendering.ts';
import type { Shell } from '../src/cli/shell.ts';
import { problemOf, valueFor } from '../src/control/screen.ts';
import type { Question } from '../src/model/question.ts';
import type { Answer, Host, Notice } from '../src/ports/host.ts';
import { leftTheWizard } from './wizard.ts';

/** A person at a terminal: prompts with Back on every screen, and steps with a moving progress line. */
export function terminalHost(
  shell: Pick<Shell, 'stdin' | 'stdout' | 'stderr' | 'signal' | 'clock'>,
  look: { readonly color: boolean } = { color: true },
): Host & { readonly interactive: true } {
  const lines = new MovingLine(shell.stdout);
  return {
    signal: shell.signal,
    interactive: true,
    tell(notice) {
      if (notice.kind === 'progress') lines.move(progressLine(notice), 'stays');
      else if (notice.kind === 'step' && notice.status === 'started')
        lines.move(`... ${notice.title}`, 'goes');
      else lines.print(linesOf(notice).map((line) => (look.color ? painted(line, notice) : line)));
    },
    async ask(question) {
      lines.print(question.before ? ['', ...question.before.split('\n')] : []);
      return prompt(question, shell);
    },
  };
}

/** One line that is written over while something moves; everything else is printed above it. */
class MovingLine {
  private readonly output: Shell['stdout'];
  private shown: 'nothing' | 'stays' | 'goes' = 'nothing';

  constructor(output: Shell['stdout']) {
    this.output = output;
  }

  /** `stays`: what it says last is kept above what comes next; `goes`: it makes room. */
  move(line: string, after: 'stays' | 'goes'): void {
    if (this.shown === 'stays' && after === 'goes') this.output.write('\n');
    this.output.write(`\r\u001b[2K${line.slice(0, (this.output.columns ?? 80) - 1)}`);
    this.shown = after;
  }

  print(lines: readonly string[]): void {
    if (this.shown === 'stays') this.output.write('\n');
    if (this.shown === 'goes') this.output.write('\r\u001b[2K');
    this.shown = 'nothing';
    for (const line of lines) this.output.write(`${line}\n`);
  }
}

const COLOURS = { info: '', success: '\u001b[32m', warning: '\u001b[33m', error: '\u001b[31m' } as const;
const STEP_COLOURS = {
  started: '\u001b[2m',
  done: '\u001b[32m',
  failed: '\u001b[31m',
  skipped: '\u001b[33m',
};

function painted(line: string, notice: Notice): string {
  const colour =
    notice.kind === 'text'
      ? COLOURS[notice.level]
      : notice.kind === 'step'
        ? STEP_COLOURS[notice.status]
        : '';
  return colour ? `${colour}${line}\u001b[0m` : line;
}

const BACK = '\u0000back';
const backChoice = (question: Question) => ({ value: BACK, name: question.first ? '< leave' : '< back' });
const BACK_HINT = '(< or Esc: back)';

/**
 * Lists have a choice `< back`; where a text is typed, `<` alone goes back; Esc does everywhere.
 * Ctrl-C rejects as cancelled.
 */
async function prompt(
  question: Question,
  shell: Pick<Shell, 'stdin' | 'stdout' | 'signal'>,
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
      clearPromptOnDone: false,
    });
    if (value === BACK) return { kind: 'back' };
    return { kind: 'value', value };
  } catch (error) {
    if (leaving.signal.aborted && !shell.signal.aborted) {
      shell.stdout.write('\n');
      return { kind: 'back' };
    }
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
}

async function show(question: Question, place: PromptPlace): Promise<unknown> {
  const prompts = await import('@inquirer/prompts');
  const hint = question.hint ? ` - ${question.hint}` : '';
  const message = `${question.message}${hint}`;
  switch (question.kind) {
    case 'select':
      return chooseOne(question, message, place);
    case 'multiselect':
      return prompts.checkbox(
        { message: `${message} (space: choose, enter: go on, esc: back)`, ...checkboxChoices(question) },
        place,
      );
    case 'confirm':
      return prompts.select(
        {
          message,
          choices: [{ value: 'yes', name: 'yes' }, { value: 'no', name: 'no' }, backChoice(question)],
          ...defaultOf(question),
          theme: WITH_ESCAPE,
        },
        place,
      );
    case 'secret':
      return fromTyped(
        await prompts.password(
          { message: `${message} ${BACK_HINT}`, mask: '*', validate: (text) => typedProblem(question, text) },
          place,
        ),
        question,
      );
    default: {
      const proposal = question.default === undefined ? {} : { default: String(question.default) };
      return fromTyped(
        await prompts.input(
          {
            message: `${message} ${BACK_HINT}`,
            ...proposal,
            validate: (text) => typedProblem(question, text),
          },
          place,
        ),
        question,
      );
    }
  }
}

/** In a long list the choice `< back` is out of sight, so the line of keys names Esc too. */
const WITH_ESCAPE = {
  style: {
    keysHelpTip: (keys: [key: string, action: string][]): string =>
      [...keys, ['esc', 'back']].map(([key, action]) => `${key} ${action}`).join(' • '),
  },
};

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
      theme: WITH_ESCAPE,
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
    theme: WITH_ESCAPE,
  };
}

function defaultOf(question: Question): { default?: string } {
  const { default: proposal, choices = [] } = question;
  const usable = choices.filter((choice) => !choice.disabled);
  // The cursor begins on something that can be taken.
  if (usable[0] && !usable.some((choice) => choice.value === proposal)) return { default: usable[0].value };
  if (typeof proposal === 'boolean') return { default: proposal ? 'yes' : 'no' };
  return typeof proposal === 'string' ? { default: proposal } : {};
}

function typedProblem(question: Question, text: string): true | string {
  if (text.trim() === '<') return true;
  return problemOf(question, valueFor(question, text)) ?? true;
}

function fromTyped(text: string, question: Question): unknown {
  if (text.trim() === '<') return BACK;
  return text === '' && question.optional ? undefined : text;
}

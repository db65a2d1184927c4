import { flagOf, problemOf, type Screen, valueFor } from '../src/control/screen.ts';
import { inputError, isStandbyError, StandbyError } from '../src/errors.ts';
import type { Question } from '../src/model/question.ts';
import type { Answers, Host } from '../src/ports/host.ts';

/**
 * Goes through a list of screens and gives the answers. It only gathers: nothing is changed anywhere before it ends,
 * so Ctrl-C at any screen leaves nothing behind.
 *
 * On a terminal: preset answers are not asked, `back` goes to the screen asked before (with the answer given there
 * already in place), and back on the first screen leaves the wizard. Without one: every missing and every wrong
 * answer is found before the one error that names them all.
 */
export async function gather(
  host: Host,
  screens: readonly Screen[],
  preset: Answers,
  earlier: Answers = {},
): Promise<Answers> {
  const walk = new Walk(host, screens, preset, earlier);
  return host.interactive ? walk.withPerson() : walk.alone();
}

class Walk {
  private readonly host: Host;
  private readonly screens: readonly Screen[];
  private readonly preset: Answers;
  private readonly answers: Record<string, unknown> = {};
  /** What the person said, also on screens that were left with `back`. */
  private readonly said = new Map<string, unknown>();
  private readonly asked: number[] = [];

  constructor(host: Host, screens: readonly Screen[], preset: Answers, earlier: Answers) {
    this.host = host;
    this.screens = screens;
    this.preset = preset;
    for (const [name, value] of Object.entries(earlier)) this.said.set(name, value);
  }

  async withPerson(): Promise<Answers> {
    let index = 0;
    for (;;) {
      const screen = this.screens[index];
      if (!screen) return { ...this.answers };
      index = await this.visit(screen, index);
    }
  }

  private async visit(screen: Screen, index: number): Promise<number> {
    const { name } = screen;
    delete this.answers[name];
    if (screen.when && !(await screen.when(this.answers))) return index + 1;
    const question = await screen.question(this.answers);
    if (!this.said.has(name) && (await this.usePreset(question, screen))) return index + 1;
    const answer = await this.host.ask(this.asAsked(question), this.answers);
    if (answer.kind === 'back') return this.before();
    const value = valueFor(question, answer.value);
    const problem = await problemWith(screen, question, value, this.answers);
    if (problem !== undefined) {
      if (problem) this.host.tell({ kind: 'text', level: 'error', text: problem });
      return index;
    }
    this.answers[name] = value;
    this.said.set(name, value);
    this.asked.push(index);
    return index + 1;
  }

  /** A question that was answered before proposes that answer, and need not be introduced again. */
  private asAsked(question: Question): Question {
    if (!this.said.has(question.name)) return question;
    const { before, ...rest } = withEarlierAnswer(question, this.said.get(question.name));
    return question.kind === 'confirm' && before !== undefined ? { ...rest, before } : rest;
  }

  private async usePreset(question: Question, screen: Screen): Promise<boolean> {
    if (this.preset[question.name] === undefined) return false;
    const value = valueFor(question, this.preset[question.name]);
    const problem = await problemWith(screen, question, value, this.answers);
    if (problem !== undefined) {
      this.host.tell({ kind: 'text', level: 'warning', text: `${question.message}: ${problem}` });
      return false;
    }
    this.answers[question.name] = value;
    return true;
  }

  private before(): number {
    const index = this.asked.pop();
    if (index === undefined) throw leftTheWizard();
    return index;
  }

  async alone(): Promise<Answers> {
    const missing: Pick<Question, 'name' | 'noFlag'>[] = [];
    const wrong: string[] = [];
    const unknown = new Set<string>();
    for (const screen of this.screens) {
      if (screen.needs?.some((name) => unknown.has(name))) {
        unknown.add(screen.name);
        if (screen.always && this.preset[screen.name] === undefined) missing.push(screen.always);
        continue;
      }
      if (screen.when && !(await screen.when(this.answers))) {
        if (this.preset[screen.name] !== undefined) wrong.push(`${flagOf(screen.name)}: ${NOT_ASKED}`);
        continue;
      }
      const question = await screen.question(this.answers);
      const outcome = await this.answerAlone(screen, question);
      if (outcome.kind === 'value') {
        this.answers[screen.name] = outcome.value;
        continue;
      }
      unknown.add(screen.name);
      if (outcome.kind === 'missing') missing.push(question);
      else wrong.push(`${flagOf(question.name)}: ${outcome.problem}`);
    }
    if (wrong.length > 0 || missing.length > 0) throw unanswered(missing, wrong);
    return { ...this.answers };
  }

  private async answerAlone(
    screen: Screen,
    question: Question,
  ): Promise<{ kind: 'value'; value: unknown } | { kind: 'missing' } | { kind: 'wrong'; problem: string }> {
    const given = this.preset[question.name];
    if (given === undefined) {
      try {
        const answer = await this.host.ask(question, this.answers);
        if (answer.kind === 'back') return { kind: 'missing' };
        // A proposal that cannot be taken here is none.
        return problemOf(question, answer.value) === undefined ? answer : { kind: 'missing' };
      } catch (error) {
        if (isStandbyError(error) && error.code === 'ANSWER_MISSING') return { kind: 'missing' };
        throw error;
      }
    }
    const value = valueFor(question, given);
    const problem = await problemWith(screen, question, value, this.answers);
    return problem === undefined ? { kind: 'value', value } : { kind: 'wrong', problem };
  }
}

const NOT_ASKED = 'It does not go with the other answers; leave it out.';

async function problemWith(
  screen: Screen,
  question: Question,
  value: unknown,
  answers: Answers,
): Promise<string | undefined> {
  return problemOf(question, value) ?? (await screen.check?.(value, answers));
}

/** An answer given before is proposed again, as long as it can still be chosen. */
function withEarlierAnswer(question: Question, earlier: unknown): Question {
  if (earlier === undefined || question.kind === 'secret') return question;
  if (question.kind === 'select' && problemOf({ ...question, optional: false }, earlier)) return question;
  return { ...question, default: earlier };
}

function unanswered(
  missing: readonly Pick<Question, 'name' | 'noFlag'>[],
  wrong: readonly string[],
): StandbyError {
  const flags = missing.map((question) => question.noFlag?.from ?? flagOf(question.name));
  const sentences = [
    ...(flags.length > 0
      ? [`There is no terminal to ask on, and these answers are missing: ${flags.join(', ')}.`]
      : []),
    ...(wrong.length > 0 ? [`These answers are wrong: ${wrong.join(' ')}`] : []),
  ];
  return inputError(
    flags.length > 0 ? 'ANSWER_MISSING' : 'ANSWER_WRONG',
    sentences.join(' '),
    'Give the answers as flags or in a file with --answers FILE, or run the command on a terminal.',
  );
}

export function leftTheWizard(what = 'Cancelled; nothing was changed.'): StandbyError {
  return new StandbyError({
    code: 'CANCELLED',
    what,
    kind: 'cancelled',
  });
}

/**
 * The last screen: what will happen, and whether to go on. It is a screen like any other, so `back` works on it,
 * `--yes` answers it, and alone without `--yes` it is one of the missing answers. `needs` names the answers that
 * its summary is made from.
 */
export function confirmScreen(facts: {
  readonly message: string;
  readonly needs: readonly string[];
  summary?(answers: Answers): string | Promise<string>;
}): Screen {
  const noFlag = { from: '--yes' };
  return {
    name: 'yes',
    needs: facts.needs,
    always: { name: 'yes', noFlag },
    async question(answers) {
      const before = await facts.summary?.(answers);
      return {
        name: 'yes',
        kind: 'confirm',
        message: facts.message,
        noFlag,
        ...(before === undefined ? {} : { before }),
      };
    },
  };
}

/** Gathers, and goes on only when the last screen was answered with yes. */
export async function gatherConfirmed(
  host: Host,
  screens: readonly Screen[],
  start: { readonly preset: Answers; readonly yes: boolean },
  earlier: Answers = {},
): Promise<Answers> {
  const answers = await gather(
    host,
    screens,
    { ...start.preset, ...(start.yes ? { yes: true } : {}) },
    earlier,
  );
  if (answers.yes !== true) throw leftTheWizard();
  return answers;
}

/** Something else that may help against an error, offered beside changing the answers. */
export interface Remedy {
  readonly label: string;
  take(): void;
}

/**
 * Gathers and acts. When that fails and a person is there, nothing they typed is lost: they change answers, try
 * again, take a remedy, or leave with the error. Only for acts that change nothing before they succeed.
 */
export async function gatherAndAct<Result>(
  host: Host,
  screens: readonly Screen[],
  start: { readonly preset: Answers; readonly yes: boolean },
  act: (answers: Answers) => Promise<Result>,
  remedy: (error: StandbyError) => Remedy | undefined = () => undefined,
): Promise<Result> {
  let answers = await gatherConfirmed(host, screens, start);
  for (;;) {
    try {
      return await act(answers);
    } catch (error) {
      if (!host.interactive || !isStandbyError(error) || error.kind === 'cancelled') throw error;
      tellError(host, error);
      const choice = await askWhatNow(host, remedy(error));
      if (choice === 'leave') throw error;
      if (choice === 'change') {
        const { yes: _confirmed, ...earlier } = answers;
        answers = await gatherConfirmed(host, screens, { preset: {}, yes: false }, earlier);
      }
    }
  }
}

async function askWhatNow(host: Host, remedy: Remedy | undefined): Promise<'change' | 'again' | 'leave'> {
  const answer = await host.ask(
    {
      name: 'whatNow',
      kind: 'select',
      message: 'What now?',
      choices: [
        ...(remedy ? [{ value: 'remedy', label: remedy.label }] : []),
        { value: 'change', label: 'change the answers' },
        { value: 'again', label: 'try again as it is' },
        { value: 'leave', label: 'leave; nothing was changed' },
      ],
    },
    {},
  );
  if (answer.kind === 'back') return 'change';
  if (answer.value !== 'remedy')
    return answer.value === 'leave' ? 'leave' : answer.value === 'again' ? 'again' : 'change';
  remedy?.take();
  return 'again';
}

export function tellError(host: Host, error: StandbyError): void {
  const lines = [
    error.what,
    ...(error.why ? [`Why: ${error.why}`] : []),
    ...(error.next ? [`Next: ${error.next}`] : []),
  ];
  host.tell({ kind: 'text', level: 'error', text: lines.join('\n') });
}

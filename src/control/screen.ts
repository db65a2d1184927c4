import type { Question } from '../model/question.ts';
import type { Answers } from '../ports/host.ts';

/**
 * One screen of a wizard, as data: which answer it gives, when it is asked, and the question made from the answers
 * before it and from what control looks up. The same list serves a terminal, flags and an answers file.
 */
export interface Screen {
  /** The question's name: its flag, and its key in an answers file. */
  readonly name: string;
  /** Nobody is there and earlier answers are missing: it is missing too, whatever they would have been. */
  readonly always?: Pick<Question, 'name' | 'noFlag'>;
  /** Answers without which the question cannot be made. */
  readonly needs?: readonly string[];
  when?(answers: Answers): boolean | Promise<boolean>;
  question(answers: Answers): Question | Promise<Question>;
  /**
   * What only a look at the world can tell of an answer that is well formed: a sentence when it is wrong. An empty
   * text asks again without a word, because something was done meanwhile.
   */
  check?(value: unknown, answers: Answers): Promise<string | undefined>;
}

/** Screens for a list of questions that is made again from the answers so far. */
export function screensOf(
  names: readonly string[],
  questions: (answers: Answers) => readonly Question[],
): readonly Screen[] {
  return names.map((name) => ({
    name,
    when: (answers) => questions(answers).some((question) => question.name === name),
    question: (answers) => {
      const found = questions(answers).find((question) => question.name === name);
      if (!found) throw new Error(`There is no question ${name} with these answers.`);
      return found;
    },
  }));
}

/** `clientSecret` is `--client-secret`. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** A text, trimmed; empty when there is none. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value.trim() : '';
}

/** What is wrong with an answer, whoever gave it: the question's own rule, and its kind and choices. */
export function problemOf(question: Question, value: unknown): string | undefined {
  const empty = value === undefined || value === '' || value === null;
  if (empty) return question.optional ? undefined : 'An answer is needed.';
  const problem = problemOfKind(question, value);
  return problem ?? question.validate?.(value);
}

function problemOfKind(question: Question, value: unknown): string | undefined {
  switch (question.kind) {
    case 'confirm':
      return typeof value === 'boolean' ? undefined : 'Answer yes or no.';
    case 'number':
      return typeof value === 'number' && Number.isFinite(value) ? undefined : 'This is not a number.';
    case 'select':
      return choiceProblem(question, value);
    case 'multiselect':
      if (!Array.isArray(value)) return 'A list is needed.';
      return value.map((one) => choiceProblem(question, one)).find((one) => one !== undefined);
    default:
      return typeof value === 'string' ? undefined : 'A text is needed.';
  }
}

function choiceProblem(question: Question, value: unknown): string | undefined {
  const choices = question.choices ?? [];
  const choice = choices.find((one) => one.value === value);
  if (choice?.disabled) return `${choice.label} cannot be chosen: ${choice.disabled}.`;
  if (choice || question.other) return undefined;
  const offered = choices.filter((one) => !one.disabled).map((one) => one.value);
  return `\`${String(value)}\` is not among the choices. ${listText(offered)}`;
}

function listText(values: readonly string[], shownMax = 12): string {
  if (values.length === 0) return 'There is nothing to choose from.';
  const more = values.length > shownMax ? ` and ${values.length - shownMax} more` : '';
  return `Choose ${values.length === 1 ? '' : 'one of '}${values.slice(0, shownMax).join(', ')}${more}.`;
}

/** What a flag or an answers file says, as the kind of value that the question wants. */
export function valueFor(question: Question, value: unknown): unknown {
  if (question.kind === 'select') return matchingChoice(question, value);
  if (question.kind === 'multiselect') {
    const list = Array.isArray(value) ? value : String(value).split(',');
    return list
      .map((one) => String(one).trim())
      .filter((one) => one !== '')
      .map((one) => matchingChoice(question, one));
  }
  if (question.kind === 'number' && typeof value === 'string' && value.trim() !== '') return Number(value);
  if (question.kind === 'confirm' && typeof value === 'string') return confirmOf(value);
  if (question.kind === 'text' && typeof value === 'number') return String(value);
  return typeof value === 'string' && question.kind === 'text' ? value.trim() : value;
}

/**
 * People write what they read: a choice may be given by its value or its label, in any case of letters, and
 * `group/name` by its name alone as long as no other has it.
 */
function matchingChoice(question: Question, value: unknown): unknown {
  const wanted = String(value).trim().toLowerCase();
  const choices = question.choices ?? [];
  const found =
    choices.find((one) => one.value.toLowerCase() === wanted) ??
    choices.find((one) => one.label.toLowerCase() === wanted) ??
    only(choices.filter((one) => one.value.toLowerCase().endsWith(`/${wanted}`)));
  return found ? found.value : value;
}

function only<Item>(items: readonly Item[]): Item | undefined {
  return items.length === 1 ? items[0] : undefined;
}

function confirmOf(text: string): unknown {
  if (/^(y|yes|true|on)$/i.test(text.trim())) return true;
  if (/^(n|no|false|off)$/i.test(text.trim())) return false;
  return text;
}

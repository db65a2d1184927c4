import type { Clock } from '../clock.ts';
import { flagOf } from '../control/screen.ts';
import { inputError } from '../errors.ts';
import type { Question } from '../model/question.ts';
import type { Answer, Host, Notice } from '../ports/host.ts';
import { linesOf } from './rendering.ts';
import type { Shell } from './shell.ts';

/** Plain lines for a pipe, a log or a job: never prompts, and a progress line now and then instead of a moving one. */
export function plainHost(
  shell: Pick<Shell, 'stdout' | 'stderr' | 'signal' | 'clock'>,
  /** `stderr` when standard output belongs to a JSON document. */
  peopleRead: 'stdout' | 'stderr' = 'stdout',
): Host {
  const pace = progressPace(shell.clock);
  return {
    signal: shell.signal,
    interactive: false,
    tell(notice) {
      if (notice.kind === 'progress' && !pace(notice)) return;
      const toError = notice.kind === 'text' && (notice.level === 'warning' || notice.level === 'error');
      const stream = toError ? shell.stderr : shell[peopleRead];
      const mark = toError ? `${notice.level === 'warning' ? 'Warning' : 'Error'}: ` : '';
      stream.write(`${mark}${linesOf(notice).join('\n')}\n`);
    },
    async ask(question) {
      return answerAlone(question);
    },
  };
}

/** What a question is worth when nobody is there: its default, nothing if it is optional, else an error naming the flag. */
export async function answerAlone(question: Question): Promise<Answer> {
  if (question.default !== undefined) return { kind: 'value', value: question.default };
  if (question.optional) return { kind: 'value', value: undefined };
  throw inputError(
    'ANSWER_MISSING',
    `There is no terminal to ask on, and an answer is missing: ${question.noFlag?.from ?? flagOf(question.name)}.`,
    'Give it as a flag or in a file with --answers FILE, or run the command on a terminal.',
  );
}

/** At most one line in two seconds for each thing in progress, and always the last. */
export function progressPace(clock: Clock, everyMs = 2000): (notice: Notice) => boolean {
  const lastMs = new Map<string, number>();
  return (notice) => {
    if (notice.kind !== 'progress') return true;
    const now = clock.now();
    const last = lastMs.get(notice.id);
    if (last !== undefined && now - last < everyMs && notice.doneBytes < notice.totalBytes) return false;
    lastMs.set(notice.id, now);
    return true;
  };
}

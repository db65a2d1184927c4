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
  const pace = noticePace(shell.clock, { progressMs: 2000, activityMs: 10_000 });
  return {
    signal: shell.signal,
    interactive: false,
    tell(notice) {
      if (!pace(notice)) return;
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

/** How often what goes on is worth a line: never more often than this, and never twice the same. */
export interface Pace {
  readonly progressMs: number;
  readonly activityMs: number;
}

/** Which notices are printed where nothing can be written over. The last of a progress always is. */
export function noticePace(clock: Clock, pace: Pace): (notice: Notice) => boolean {
  const last = new Map<string, { readonly atMs: number; readonly said: string }>();
  return (notice) => {
    if (notice.kind !== 'progress' && notice.kind !== 'activity') return true;
    const key = `${notice.kind}/${notice.id}`;
    const said = notice.kind === 'activity' ? notice.text : `${notice.title}/${notice.doneBytes}`;
    const before = last.get(key);
    const atMs = clock.now();
    if (before?.said === said) return false;
    const everyMs = notice.kind === 'activity' ? pace.activityMs : pace.progressMs;
    const ended = notice.kind === 'progress' && notice.doneBytes >= notice.totalBytes;
    if (before && atMs - before.atMs < everyMs && !ended) return false;
    last.set(key, { atMs, said });
    return true;
  };
}

import { EXIT_CODES, isStandbyError, messageOf, StandbyError } from '../errors.ts';

/** The one place where an error becomes words and an exit code (docs/ARCHITECTURE.md; design rule 9). */
export interface Failure {
  readonly exitCode: number;
  readonly document: Readonly<Record<string, unknown>>;
  readonly lines: readonly string[];
}

export function failureOf(error: unknown): Failure {
  const known = isStandbyError(error) ? error : isAbort(error) ? cancelled('Cancelled.') : unexpected(error);
  if (known.kind === 'cancelled') {
    return { exitCode: EXIT_CODES.cancelled, document: { error: known.toJSON() }, lines: [known.what] };
  }
  const lines = [`Error: ${known.what}`];
  if (known.why) lines.push(`  Why:  ${known.why}`);
  if (known.next) lines.push(`  Next: ${known.next}`);
  lines.push(`  Code: ${known.code}`);
  return { exitCode: EXIT_CODES[known.kind], document: { error: known.toJSON() }, lines };
}

/** What waits with our signal rejects with this when the process is asked to stop. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

/** A defect, or something of the operating system that nobody named yet: the message is shown, the stack is not. */
function unexpected(error: unknown): StandbyError {
  return new StandbyError({
    code: 'UNEXPECTED',
    what: 'Something unexpected happened.',
    why: messageOf(error),
    next: 'Run it again with STANDBY_LOG_LEVEL=debug and read standby.log in the home folder; the stack is there.',
    cause: error,
  });
}

/** Ctrl-C or SIGTERM before anything was changed. */
export function cancelled(what = 'Cancelled; nothing was changed.'): StandbyError {
  return new StandbyError({ code: 'CANCELLED', what, kind: 'cancelled' });
}

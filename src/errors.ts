/**
 * The one error class of Standby. A person reads it at 3 a.m., so it always says what failed, why,
 * and what to do next; a program reads `code` (a word that never changes) and `retry`.
 * Secrets never enter any of these fields.
 */
export type ErrorKind =
  | 'failed' // the work did not succeed: exit 1
  | 'input' // what was asked for cannot be: exit 2, nothing was changed
  | 'checks' // checks found errors: exit 3
  | 'interrupted' // stopped half-way and can be resumed: exit 4
  | 'cancelled'; // the person said no or pressed Ctrl-C before anything changed: exit 130

export interface ErrorFacts {
  readonly code: string;
  /** What failed, as a sentence. */
  readonly what: string;
  /** Why, as far as it is known. */
  readonly why?: string;
  /** What to do next: a command or an action. */
  readonly next?: string;
  readonly kind?: ErrorKind;
  /** `later`: the same call may succeed without anybody changing anything. */
  readonly retry?: 'never' | 'later';
  readonly cause?: unknown;
}

export class StandbyError extends Error {
  readonly code: string;
  readonly what: string;
  readonly why: string | undefined;
  readonly next: string | undefined;
  readonly kind: ErrorKind;
  readonly retry: 'never' | 'later';

  constructor(facts: ErrorFacts) {
    super(facts.why ? `${facts.what} ${facts.why}` : facts.what, { cause: facts.cause });
    this.name = 'StandbyError';
    this.code = facts.code;
    this.what = facts.what;
    this.why = facts.why;
    this.next = facts.next;
    this.kind = facts.kind ?? 'failed';
    this.retry = facts.retry ?? 'never';
  }

  /** The document `--json` prints for an error. */
  toJSON(): Record<string, unknown> {
    return { code: this.code, what: this.what, why: this.why, next: this.next, retry: this.retry };
  }
}

export const EXIT_CODES: Readonly<Record<ErrorKind, number>> = {
  failed: 1,
  input: 2,
  checks: 3,
  interrupted: 4,
  cancelled: 130,
};

/** Wrong input: nothing was changed. */
export function inputError(code: string, what: string, next?: string): StandbyError {
  return new StandbyError({ code, what, ...(next === undefined ? {} : { next }), kind: 'input' });
}

export function isStandbyError(error: unknown): error is StandbyError {
  return error instanceof StandbyError;
}

/** One line for a log or a `why`: never a stack, never a secret of ours. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

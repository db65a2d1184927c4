import type { Question } from '../model/question.ts';

/**
 * Who the core talks to. The core asks and tells; only the shell prints: a terminal, plain lines, or JSON.
 * Cancelling (Ctrl-C) rejects with a StandbyError of kind `cancelled`.
 */
export interface Host {
  tell(notice: Notice): void;
  /** `back` when the person wants the screen before. Without a terminal: an input error naming the flags. */
  ask(question: Question, answers: Answers): Promise<Answer>;
  /** Aborted by Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  /** True when a person answers: a wrong preset answer is then asked again instead of being an error. */
  readonly interactive?: boolean;
}

export type Answers = Readonly<Record<string, unknown>>;
export type Answer = { readonly kind: 'value'; readonly value: unknown } | { readonly kind: 'back' };

export type Notice =
  | { readonly kind: 'text'; readonly level: 'info' | 'success' | 'warning' | 'error'; readonly text: string }
  | {
      readonly kind: 'table';
      readonly title?: string;
      readonly columns: readonly string[];
      readonly rows: readonly (readonly string[])[];
    }
  /** A step of a run, or a named phase. */
  | {
      readonly kind: 'step';
      readonly id: string;
      readonly title: string;
      readonly status: 'started' | 'done' | 'failed' | 'skipped';
      readonly detail?: string;
      readonly ms?: number;
    }
  /** What a step does just now; the next one takes its place. */
  | { readonly kind: 'activity'; readonly id: string; readonly text: string }
  | {
      readonly kind: 'progress';
      readonly id: string;
      readonly title: string;
      readonly doneBytes: number;
      readonly totalBytes: number;
      readonly bytesPerSecond: number;
      readonly secondsLeft?: number;
    };

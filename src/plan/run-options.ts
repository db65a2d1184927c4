import type { Clock } from '../clock.ts';
import type { StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Plan, RunRecord, RunStore } from './plan.ts';

export interface RunOptions {
  readonly store: RunStore;
  readonly plan: Plan;
  readonly run: RunRecord;
  /** Unique for each process; best made by `makeOwner`. */
  readonly owner: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly leaseMs?: number;
  onStep?(event: StepEvent): void;
  onProgress?(stepId: string, text: string, facts?: Readonly<Record<string, unknown>>): void;
  /** Called at named points; tests make the process die exactly there. */
  atPoint?(point: { readonly stepId: string; readonly phase: StepPhase }): void;
}

export type StepPhase = 'started' | 'acted' | 'before-done' | 'undo-started' | 'undo-acted';

export interface StepEvent {
  readonly stepId: string;
  readonly title: string;
  /** `skipped`: an earlier try of this run had done it. */
  readonly status: 'started' | 'done' | 'failed' | 'skipped' | 'undone';
  /** The world was already so; nothing was done now. */
  readonly found?: boolean;
  readonly ms?: number;
  readonly error?: StandbyError;
}

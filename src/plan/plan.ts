/**
 * Durable work: a plan is stages of steps; the steps of one stage run side by side, stages one after the other.
 * This folder knows no Azure and no disaster recovery.
 *
 * The runner writes `started` before a step acts and `done` with its output after, each under a fenced lease,
 * so a process that dies at any line leaves a record from which the same loop goes on.
 */
export interface StepContext {
  readonly runId: string;
  readonly signal: AbortSignal;
  /** Throws when another process has taken the run over meanwhile: to be asked after a wait, before the world is changed. */
  assertHeld(): Promise<void>;
  /** Outputs of the steps already done, by step id. Reading one that is not done is a defect and throws. */
  output<Out>(stepId: string): Out;
  /** What `save` stored in an earlier try of this very step; undefined on a first try. */
  readonly checkpoint: unknown;
  /** Stores a checkpoint durably (JSON), e.g. a serialised Azure poller right after its submission. */
  save(checkpoint: unknown): Promise<void>;
  /** Tells the operator how the step goes; not stored. With the fact `passing` only what comes next is worth reading. */
  progress(text: string, facts?: Readonly<Record<string, unknown>>): void;
}

export interface Step<Out = unknown> {
  /** Stable text, stored; never an index. Unique in its plan. */
  readonly id: string;
  /** What the operator reads. */
  readonly title: string;
  /** Azure actions this step needs, for the least-privilege role and the verify checks. */
  readonly actions?: readonly string[];
  /** The resources this step will make, shown before the confirmation. */
  readonly makes?: readonly { readonly type: string; readonly name: string }[];
  /** Looks at the world: is it already so? Then `run` is not called. */
  find?(context: StepContext): Promise<Out | undefined>;
  /** Idempotent. */
  run(context: StepContext): Promise<Out>;
  /** Takes back exactly what this step made; called only before the commit point. */
  undo?(context: StepContext, out: Out | undefined): Promise<void>;
  readonly retry?: { readonly attemptsMax: number; readonly delayMs: number };
  /** After this step is done the plan only goes forward. At most one in a plan. */
  readonly commit?: boolean;
}

export interface Plan {
  /** Names the builder that makes the plan again on resume: `switchover`, `run`, `deploy-appliance`. */
  readonly kind: string;
  readonly title: string;
  readonly stages: readonly (readonly Step[])[];
}

export type StepStatus = 'pending' | 'started' | 'done' | 'failed' | 'undone';
export type RunStatus = 'running' | 'done' | 'failed' | 'undone' | 'cancelled';

export interface StepRecord {
  readonly stepId: string;
  readonly title: string;
  readonly status: StepStatus;
  readonly attempts: number;
  readonly startedAtMs?: number;
  readonly endedAtMs?: number;
  readonly checkpoint?: unknown;
  readonly output?: unknown;
  readonly error?: {
    readonly code: string;
    readonly what: string;
    readonly why?: string;
    readonly next?: string;
  };
}

export interface RunRecord {
  readonly id: string;
  readonly kind: string;
  /** What the plan is about, e.g. a scenario id; one unfinished run at a time for each subject and kind. */
  readonly subject: string;
  readonly title: string;
  /** The plan builder's input (JSON, no secrets): enough to build the same plan again. */
  readonly input: unknown;
  readonly status: RunStatus;
  readonly createdAtMs: number;
  readonly endedAtMs?: number;
  /** Who works on it right now. An unfinished run that nobody holds was interrupted. */
  readonly held?: { readonly owner: string; readonly untilMs: number };
  readonly steps: readonly StepRecord[];
}

/** Held by the one process that works on a run; every write carries the fence and is refused when it is stale. */
export interface Lease {
  readonly runId: string;
  readonly owner: string;
  readonly fence: number;
}

/** The small store a runner needs; src/control/store implements it on SQLite and PostgreSQL. */
export interface RunStore {
  /** Refuses (code RUN_IN_PROGRESS) while another unfinished (running or failed) run of that subject and kind exists. */
  create(run: Pick<RunRecord, 'id' | 'kind' | 'subject' | 'title' | 'input'>): Promise<RunRecord>;
  get(runId: string): Promise<RunRecord | undefined>;
  list(filter?: { subject?: string; kind?: string; statuses?: readonly RunStatus[] }): Promise<RunRecord[]>;
  /**
   * Takes the lease if it is free or has run out, or if `insteadOf` holds it (an owner known to be dead);
   * undefined when somebody else holds it. A failed run is `running` again.
   */
  claim(runId: string, owner: string, leaseMs: number, insteadOf?: string): Promise<Lease | undefined>;
  /** Throws LEASE_LOST when the fence is stale. */
  renew(lease: Lease, leaseMs: number): Promise<void>;
  release(lease: Lease): Promise<void>;
  /** All of them or none; each commit waits for the disk. */
  writeStep(lease: Lease, ...steps: readonly StepRecord[]): Promise<void>;
  finish(lease: Lease, status: RunStatus): Promise<void>;
}

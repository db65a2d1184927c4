export interface EventRecord {
  readonly id: string;
  readonly atMs: number;
  readonly level: 'info' | 'warning' | 'error';
  /** A word: SYNCHRONISED, SWITCHOVER_COMPLETE, VM_ONLINE, FAILBACK_HINT, ... */
  readonly code: string;
  readonly text: string;
  readonly scenarioId?: string;
  readonly runId?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

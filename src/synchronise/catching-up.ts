import type { ScenarioState } from '../model/scenario.ts';
import type { CopyProgress } from '../wire/control-session.ts';

/** A consistent position of a live replica; the time is the master's. */
export interface LivePosition {
  readonly sequence: string;
  readonly atMs?: number;
}

/** Where the replica's disks stand; undefined before its stream has begun. */
export function positionOf({ replication }: Pick<CopyProgress, 'replication'>): LivePosition | undefined {
  if (!replication) return undefined;
  const { appliedSequence: sequence, appliedAtMs: atMs } = replication;
  return { sequence, ...(atMs === undefined ? {} : { atMs }) };
}

/**
 * When a live synchronisation is over. A copy is when the appliance says so: it has compared both ends by then. A
 * replica that only goes on with its stream says `replicating` at once; it is over when it has applied everything that
 * the master had when it was first heard again.
 */
export class CatchingUp {
  readonly #streamOnly: boolean;
  #heardBefore: number | undefined;
  #isFirst = true;
  #target: bigint | undefined;

  constructor(facts: { readonly streamOnly: boolean }) {
    this.#streamOnly = facts.streamOnly;
  }

  isOver(progress: Pick<CopyProgress, 'state' | 'replication'>): boolean {
    if (!this.#streamOnly) return progress.state === 'replicating';
    const { replication } = progress;
    if (this.#isFirst) {
      this.#isFirst = false;
      this.#heardBefore = replication?.heardAtMs;
    }
    const { stream } = replication ?? {};
    if (!replication || !stream || replication.heardAtMs === this.#heardBefore) return false;
    this.#target ??= BigInt(stream.lastSequence);
    const hasAll = BigInt(replication.appliedSequence) >= this.#target || replication.lagBytes === 0;
    return progress.state === 'replicating' && stream.mode === 'ordered' && hasAll;
  }

  /** What the scenario's status says meanwhile; undefined where the appliance's word does not change it. */
  phaseOf(state: CopyProgress['state']): ScenarioState | undefined {
    if (this.#streamOnly) return undefined;
    if (state === 'copying') return 'synchronising';
    return state === 'draining' ? 'draining' : undefined;
  }
}

import type { Plan } from '../plan/plan.ts';
import type { Work } from '../switchover/work.ts';

export interface SynchroniseOptions {
  readonly lanes: number;
  readonly compression: 'none' | 'zstd';
}

/** `standby run`: makes the replica equal to the master. Kind `run`. */
export function synchronisePlan(_work: Work, _options: SynchroniseOptions): Plan {
  return { kind: 'run', title: '', stages: [] };
}

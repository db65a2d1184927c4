import { inputError, StandbyError } from '../../errors.ts';
import type { Group } from '../../model/group.ts';
import type { RunRecord } from '../../plan/plan.ts';
import { membersText } from './words.ts';

export const GROUP_PAUSED = 'GROUP_PAUSED';

export function paused({ name }: Pick<Group, 'name'>, wave: number, text: string): StandbyError {
  return new StandbyError({
    code: GROUP_PAUSED,
    what: `Group ${name} is paused after wave ${wave}: ${text}`,
    next: `When it is right, go on: standby group resume ${name}`,
    kind: 'interrupted',
    retry: 'later',
  });
}

export function busyWith({ name }: Pick<Group, 'name'>, run: RunRecord): StandbyError {
  return inputError(
    'GROUP_BUSY',
    `Group ${name} has an unfinished ${run.kind} (${run.id}).`,
    `Let it end first: standby group resume ${name}`,
  );
}

export interface Refused {
  readonly scenario: string;
  readonly code: string;
  readonly why: string;
}

export function notReady({ name }: Pick<Group, 'name'>, refused: readonly Refused[]): StandbyError {
  const lines = refused.map((one) => `${one.scenario}: ${one.why}`);
  return inputError(
    'GROUP_NOT_READY',
    `${membersText(refused.length)} of group ${name} cannot switch over now. ${lines.join(' ')}`,
    `Put that right; or leave them behind: standby group switchover ${name} --past-failures`,
  );
}

/** After the waves that could be done were done. */
export function membersFailed({ name }: Pick<Group, 'name'>, failed: readonly string[]): StandbyError {
  return new StandbyError({
    code: 'GROUP_MEMBERS_FAILED',
    what: `${membersText(failed.length)} of group ${name} failed: ${failed.join(', ')}.`,
    next: `Why: standby group status ${name}. Try them again: standby group resume ${name}; begin the next wave all the same: standby group resume ${name} --past-failures`,
    retry: 'later',
  });
}

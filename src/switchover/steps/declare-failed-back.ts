/**
 * Tells how far the way home has come: the status first, then the event, each once for a run. What is told of a finished
 * one comes after its commit point, so it is never taken back; dying in between is repaired by doing it again.
 */
import type { Step } from '../../plan/plan.ts';
import type { Work } from '../work.ts';

/** The commit point: both ends were proven equal, and the standby stands still. */
export function commitFailbackStep(work: Work): Step<{ readonly atMs: number }> {
  return {
    id: 'commit-failback',
    title: 'Commit: from here on the master is the server',
    commit: true,
    async run() {
      return { atMs: work.clock.now() };
    },
  };
}

export function declarePreparedStep(work: Work): Step<{ readonly atMs: number }> {
  return {
    id: 'declare-prepared',
    title: 'Declare the failback prepared',
    async run() {
      const { name } = work.scenario;
      await work.setStatus({
        state: 'failing-back',
        activeRunId: undefined,
        reason: `the standby is live; the master has a copy, and waits for: standby failback ${name} --finish`,
      });
      await work.event({
        level: 'info',
        code: 'FAILBACK_PREPARED',
        text: `The master of "${name}" has a copy of its standby, which goes on working. The last step: standby failback ${name} --finish`,
      });
      return { atMs: work.clock.now() };
    },
  };
}

export function declareFailedBackStep(
  work: Work,
  options: { readonly removed: boolean; readonly hasStandby: boolean },
): Step<{ readonly atMs: number }> {
  return {
    id: 'declare-failed-back',
    title: 'Declare the server at home',
    async run() {
      const { name } = work.scenario;
      const { removed, hasStandby } = options;
      const isKept = hasStandby && !removed;
      const remove = isKept ? `standby vm stop ${name} --remove, then ` : '';
      await work.setStatus({
        state: 'stopped',
        activeRunId: undefined,
        reason: `it came home; to protect it again: ${remove}standby run ${name}`,
        ...(removed ? { standbyVmId: undefined, switchedOverRunId: undefined } : {}),
      });
      await work.event({
        level: 'info',
        code: 'FAILED_BACK',
        text: [
          `The disks of the master of "${name}" are proven equal, and it may boot.`,
          ...(isKept
            ? [`Its standby is kept, deallocated. When the master works: standby vm stop ${name} --remove`]
            : []),
          `Then protect it again: standby run ${name} (only blocks that differ are sent).`,
        ].join(' '),
      });
      return { atMs: work.clock.now() };
    },
  };
}

/** A prepared failback is given up: the standby simply goes on. */
export function declareGivenUpStep(work: Work): Step<{ readonly atMs: number }> {
  return {
    id: 'declare-given-up',
    title: 'Declare that the standby goes on',
    async run() {
      await work.setStatus({ state: 'switched-over', activeRunId: undefined, reason: undefined });
      await work.event({
        level: 'info',
        code: 'FAILBACK_GIVEN_UP',
        text: `The failback of "${work.scenario.name}" was given up; its standby goes on.`,
      });
      return { atMs: work.clock.now() };
    },
  };
}

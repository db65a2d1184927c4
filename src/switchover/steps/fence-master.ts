/**
 * Two heads never: a master that can be reached is kept off the network before its standby is built. Its engine runs the
 * command it was given (`standby engine master --fence`), and its appliance remembers it, so that a master that comes
 * back stays out. One that cannot be reached, or whose command fails, stops the run here: a person must know that it is
 * off, and says so (`--master-is-down`); the appliance remembers that too.
 * Asking again is harmless, so dying at any line is repaired by doing it again. Undo lets it onto the network again.
 */
import { isStandbyError, messageOf, StandbyError } from '../../errors.ts';
import type { Step } from '../../plan/plan.ts';
import type { ControlSession, FenceOutcome } from '../../wire/control-session.ts';
import { takenBack, withSession } from '../appliance-session.ts';
import type { Work, WorkEvent } from '../work.ts';

export const FENCE_MASTER = 'fence-master';

export interface Fenced {
  /** `gone`: its session ended while it was fenced. `said-to-be-down`: nobody could fence it, and a person knows. */
  readonly outcome: 'done' | 'gone' | 'said-to-be-down';
}

export function fenceMasterStep(work: Work): Step<Fenced> {
  const { hostName } = work.inventory;
  return {
    id: FENCE_MASTER,
    title: `Keep the master ${hostName} off the network`,
    async run(context) {
      const insist = work.masterIsDown === true;
      const { outcome, why } = await withSession(work, (session) =>
        session.fence(work.scenario.id, true, insist),
      );
      context.progress(`The master ${hostName}: ${WORDS[outcome]}`);
      if (outcome === 'done' || outcome === 'gone') return { outcome };
      if (work.masterIsDown) return { outcome: 'said-to-be-down' };
      throw notFenced(work, outcome, why);
    },
    async undo(context) {
      const stays = `The master ${hostName} may be kept off the network still`;
      const release = (session: ControlSession) => session.fence(work.scenario.id, false);
      if (!(await takenBack(work, context, stays, release))) await work.event(staysFenced(hostName, stays));
    },
  };
}

/**
 * With the standby gone the master is the only one again. It may be away: it hears it when it comes back. An appliance that
 * cannot be told is no reason to keep a removed standby unfinished: an event says what is left to do.
 */
export function releaseMasterStep(
  work: Work,
): Step<{ readonly outcome: FenceOutcome['outcome'] | 'not-told' }> {
  const { hostName } = work.inventory;
  return {
    id: 'release-master',
    title: `Let the master ${hostName} onto the network again`,
    async run() {
      try {
        return await withSession(work, (session) => session.fence(work.scenario.id, false));
      } catch (error) {
        if (!isStandbyError(error)) throw error;
        const why = `Nobody could tell the master ${hostName} that it may go onto the network again: ${messageOf(error)}`;
        await work.event(staysFenced(hostName, why));
        return { outcome: 'not-told' };
      }
    },
  };
}

function staysFenced(hostName: string, why: string): WorkEvent {
  const by = 'stop the engine, remove fence.json in its state folder, run the fence command with "enable"';
  return {
    level: 'warning',
    code: 'MASTER_STAYS_FENCED',
    text: `${why.replace(/\.?$/, '.')} On ${hostName}: ${by}.`,
  };
}

const WORDS = {
  done: 'its network adapters are disabled',
  gone: 'its session ended while it was taken off the network',
  away: 'it is not reached',
  failed: 'it could not be taken off the network',
} as const;

function notFenced({ inventory, scenario }: Work, outcome: 'away' | 'failed', why = ''): StandbyError {
  const { hostName } = inventory;
  return new StandbyError({
    code: 'MASTER_NOT_FENCED',
    what:
      outcome === 'away'
        ? `The master ${hostName} is not reached, so nothing keeps it off the network.`
        : `The master ${hostName} could not be taken off the network.`,
    why: `${why} If it still works for its clients, two servers do under one name, and what is written there is lost.`.trim(),
    next: `Switch it off, or see to it that it is off. Then: standby switchover ${scenario.name} --master-is-down`,
  });
}

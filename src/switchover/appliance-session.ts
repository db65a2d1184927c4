import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import type { StepContext } from '../plan/plan.ts';
import type { ControlSession } from '../wire/control-session.ts';
import type { Work } from './work.ts';

const AGAIN_MS = 2000;

export async function withSession<Out>(
  work: Pick<Work, 'connect'>,
  call: (session: ControlSession) => Promise<Out>,
): Promise<Out> {
  const session = await work.connect();
  try {
    return await call(session);
  } finally {
    await session.close();
  }
}

/**
 * What an undo asks of the appliance; false when it went on without. A lost appliance must not keep a scenario half-way for
 * ever, and one that is away for a moment must not cost its protection: so a person says which of the two it is.
 */
export async function takenBack(
  work: Pick<Work, 'connect' | 'withoutAppliance' | 'scenario'>,
  context: Pick<StepContext, 'progress'>,
  stays: string,
  call: (session: ControlSession) => Promise<unknown>,
): Promise<boolean> {
  try {
    await withSession(work, call);
    return true;
  } catch (error) {
    if (!isPassing(error)) throw error;
    if (!work.withoutAppliance) throw appliancesWord(work.scenario.name, error);
    context.progress(`${stays}: ${messageOf(error)}`);
    return false;
  }
}

function appliancesWord(name: string, error: StandbyError): StandbyError {
  const { code, what, why, retry } = error;
  return new StandbyError({
    code,
    what,
    ...(why === undefined ? {} : { why }),
    next: `Start the appliance's VM, and take it back again. If the appliance is lost: standby switchover ${name} --undo --without-appliance, then standby vm start ${name}, which takes the replica disks as they are.`,
    retry,
    cause: error,
  });
}

/** The same call may succeed later: the appliance, the path to it, or the master is away for now. */
export function isPassing(error: unknown): error is StandbyError {
  return isStandbyError(error) && error.retry === 'later';
}

/**
 * Calls the appliance, and again after a passing trouble, until the deadline or the person's Ctrl-C. Each trouble
 * is told once, in its own words.
 */
export async function persistently<Out>(
  work: Pick<Work, 'connect' | 'clock'>,
  context: StepContext,
  call: (session: ControlSession) => Promise<Out>,
  untilMs = Number.POSITIVE_INFINITY,
): Promise<Out> {
  let told = '';
  for (;;) {
    context.signal.throwIfAborted();
    try {
      return await withSession(work, call);
    } catch (error) {
      if (context.signal.aborted || !isPassing(error) || work.clock.now() >= untilMs) throw error;
      const line = `${messageOf(error)} Trying again every ${AGAIN_MS / 1000} s.`;
      if (line !== told) context.progress(line);
      told = line;
    }
    await work.clock.sleep(AGAIN_MS, context.signal);
  }
}

import { isStandbyError, messageOf } from '../errors.ts';
import type { EventRecord } from '../model/event.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { Context } from './context.ts';
import { appendEvent } from './events.ts';
import { statusOf } from './scenario-status.ts';

/** What `standby serve` does again and again. Two runs of one job never overlap; jobs do not wait for each other. */
export interface PeriodicJob {
  readonly name: string;
  readonly everyMs: number;
  run(context: Context): Promise<void>;
}

type Look = (scenario: Scenario, status: ScenarioStatus) => Promise<void>;

/** What fails for one scenario does not keep the next from being looked at; nor does one that is slow to answer, with `atOnce`. */
export async function eachScenario(context: Context, job: string, look: Look, atOnce = 1): Promise<void> {
  const waiting = await context.store.scenarios.list();
  const one = async (): Promise<void> => {
    for (let scenario = waiting.shift(); scenario; scenario = waiting.shift()) {
      context.host.signal.throwIfAborted();
      await lookAtOne(context, job, scenario, look);
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: atOnce }, one));
  const failed = ended.find((each) => each.status === 'rejected');
  if (failed) throw failed.reason;
}

async function lookAtOne(context: Context, job: string, scenario: Scenario, look: Look): Promise<void> {
  try {
    await look(scenario, await statusOf(context, scenario));
  } catch (error) {
    context.host.signal.throwIfAborted();
    if (!isStandbyError(error)) throw error;
    // Removed while we looked, or a part of it cannot be asked: the next look may find it better.
    const why = messageOf(error);
    context.log.warn('a scenario could not be looked at', { job, scenario: scenario.name, why });
  }
}

/** Written down, and told to whoever follows `standby serve`. */
export async function announce(
  context: Context,
  scenario: Scenario,
  event: Pick<EventRecord, 'level' | 'code' | 'text'> & Partial<Pick<EventRecord, 'id' | 'data'>>,
): Promise<void> {
  await appendEvent(context, { ...event, scenarioId: scenario.id });
  context.host.tell({ kind: 'text', level: event.level, text: event.text });
}

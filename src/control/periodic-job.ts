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

/** One after the other; what fails for one scenario does not keep the next from being looked at. */
export async function eachScenario(
  context: Context,
  job: string,
  look: (scenario: Scenario, status: ScenarioStatus) => Promise<void>,
): Promise<void> {
  for (const scenario of await context.store.scenarios.list()) {
    context.host.signal.throwIfAborted();
    try {
      await look(scenario, await statusOf(context, scenario));
    } catch (error) {
      context.host.signal.throwIfAborted();
      if (!isStandbyError(error)) throw error;
      // Removed while we looked, or a part of it cannot be asked: the next look may find it better.
      context.log.warn('a scenario could not be looked at', {
        job,
        scenario: scenario.name,
        why: messageOf(error),
      });
    }
  }
}

/** Written down, and told to whoever follows `standby serve`. */
export async function announce(
  context: Context,
  scenario: Scenario,
  event: Pick<EventRecord, 'level' | 'code' | 'text'> & { readonly data?: EventRecord['data'] },
): Promise<void> {
  const { data, ...rest } = event;
  await appendEvent(context, { ...rest, scenarioId: scenario.id, ...(data ? { data } : {}) });
  context.host.tell({ kind: 'text', level: event.level, text: event.text });
}

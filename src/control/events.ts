import { randomUUID } from 'node:crypto';
import type { EventRecord } from '../model/event.ts';
import type { Context } from './context.ts';
import { scenarioNamed } from './scenario-named.ts';

/** Writes an event down. With an id of its own, telling it again changes nothing. */
export async function appendEvent(
  context: Pick<Context, 'store' | 'clock'>,
  event: Omit<EventRecord, 'id' | 'atMs'> & { readonly id?: string },
): Promise<void> {
  await context.store.events.append({ ...event, id: event.id ?? randomUUID(), atMs: context.clock.now() });
}

export interface EventFilter {
  readonly scenario?: string;
  readonly runId?: string;
  readonly afterId?: string;
  /** The newest so many. */
  readonly last?: number;
}

/** Oldest first. */
export async function listEvents(context: Context, filter: EventFilter): Promise<readonly EventRecord[]> {
  const scenario = filter.scenario === undefined ? undefined : await scenarioNamed(context, filter.scenario);
  const events = await context.store.events.list({
    ...(scenario ? { scenarioId: scenario.id } : {}),
    ...(filter.runId === undefined ? {} : { runId: filter.runId }),
    ...(filter.afterId === undefined ? {} : { afterId: filter.afterId }),
  });
  return filter.last === undefined ? events : events.slice(-filter.last);
}

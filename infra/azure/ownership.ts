import { StandbyError } from '../../src/errors.ts';
import { carriesOurTag, type StandbyTags } from '../../src/model/tags.ts';
import type { Operation } from '../../src/ports/cloud.ts';
import type { Azure } from './azure.ts';
import type { Sight } from './lookout.ts';
import { runOperation, type Work } from './operation.ts';

/** We touch and delete only what carries our tag; names are derived, so a rerun finds its own and nobody else's. */

interface Tagged {
  readonly id?: string;
  readonly name?: string;
  readonly tags?: Record<string, string>;
  readonly provisioningState?: string;
}

const IN_TRANSIT = /^(creating|updating|accepted|inprogress|running|resolvingdns)$/i;
const SETTLE_MAX_MS = 10 * 60_000;
const SETTLE_PAUSE_MS = 2_000;

/** Makes a resource unless an earlier call has made it already. */
export async function ensureResource<Resource extends Tagged>(
  azure: Azure,
  spec: { readonly title: string; readonly tags: StandbyTags },
  sight: Sight<Resource>,
  work: Work<Resource>,
  operation: Operation = {},
): Promise<Resource> {
  const { calls } = azure;
  const find = () => sight.find();
  let found = await find();
  if (found && !carriesOurTag(found.tags, spec.tags['standby-scenario'])) {
    throw notOurs(`${spec.title} exists already and is not ours.`, found.tags, spec.tags['standby-scenario']);
  }
  // An earlier try died between the request and its state: Azure is still at work, so wait rather than disturb it.
  if (found && !operation.saved) found = await settled(azure, found, find, operation.signal);
  if (found?.provisioningState === 'Succeeded') return found;
  const look: Work<Resource>['look'] = (times, signal) => calls.lookout.watch(sight, ended, times, signal);
  return runOperation(calls, azure.endpoints.resourceManagerUrl, { ...work, look }, operation);
}

function ended<Resource extends Tagged>(
  resource: Resource | undefined,
): { readonly result: Resource } | 'failed' | undefined {
  if (resource?.provisioningState === 'Succeeded') return { result: resource };
  return resource?.provisioningState === 'Failed' ? 'failed' : undefined;
}

/** Waits until nobody is working on it any more, for as long as is sensible. */
export async function settled<Resource extends Tagged>(
  azure: Azure,
  first: Resource,
  find: () => Promise<Resource | undefined>,
  signal?: AbortSignal,
): Promise<Resource | undefined> {
  const { clock } = azure.calls;
  const untilMs = clock.now() + SETTLE_MAX_MS;
  let found: Resource | undefined = first;
  while (found && IN_TRANSIT.test(found.provisioningState ?? '') && clock.now() < untilMs) {
    await clock.sleep(SETTLE_PAUSE_MS, signal);
    found = await find();
  }
  return found;
}

/** Deletes it if it is there and ours. */
export async function removeResource(
  azure: Azure,
  spec: { readonly title: string; readonly scenario: string },
  find: () => Promise<Tagged | undefined>,
  work: Work<void>,
  operation?: Operation,
): Promise<void> {
  const found = await find();
  if (!found) return;
  if (!carriesOurTag(found.tags, spec.scenario)) {
    throw notOurs(`${spec.title} was not deleted: it is not ours.`, found.tags, spec.scenario);
  }
  try {
    await runOperation(azure.calls, azure.endpoints.resourceManagerUrl, work, operation);
  } catch (error) {
    if (error instanceof StandbyError && error.code === 'ResourceNotFound') return;
    throw error;
  }
}

export function notOurs(
  what: string,
  tags: Readonly<Record<string, string>> | undefined,
  scenario: string,
): StandbyError {
  const tag = tags?.['standby-scenario'];
  return new StandbyError({
    code: 'NOT_OURS',
    what,
    why: tag
      ? `Its tag standby-scenario is "${tag}", not "${scenario}".`
      : 'It does not carry the tag standby-scenario.',
    next: 'Look at it in the portal; rename or remove it yourself if it is in the way.',
  });
}

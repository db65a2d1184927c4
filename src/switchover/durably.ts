import { isStandbyError, StandbyError } from '../errors.ts';
import { carriesOurTag } from '../model/tags.ts';
import type { StepContext } from '../plan/plan.ts';
import type { Operation } from '../ports/cloud.ts';
import { scenarioTag } from './blueprint.ts';
import type { Work } from './work.ts';

/**
 * Makes one long cloud operation survive a crash: its poller is the step's checkpoint, so a resumed step goes on
 * waiting for the operation that an earlier process began.
 *
 * An operation that has ended badly must not be waited for again: its checkpoint is dropped, and the next try
 * submits anew. If we die between its end and that, the next try meets the same end, and the one after is free.
 */
export async function durably<Out>(
  context: StepContext,
  call: (operation: Operation) => Promise<Out>,
  options: { readonly anew?: boolean } = {},
): Promise<Out> {
  const saved = options.anew ? undefined : (context.checkpoint ?? undefined);
  try {
    return await call({ signal: context.signal, saved, save: (state) => context.save(state) });
  } catch (error) {
    if (endedBadly(error, context.signal)) await context.save(null);
    throw error;
  }
}

/** Interrupted, or the cloud could not be reached: the operation may still be going on. */
function endedBadly(error: unknown, signal: AbortSignal): boolean {
  if (signal.aborted) return false;
  return !(isStandbyError(error) && STILL_OPEN.has(error.code));
}

const STILL_OPEN = new Set(['CLOUD_UNREACHABLE', 'CLOUD_BUSY', 'TooManyRequests']);

/** For steps that make one resource: what passes by itself is tried again; Azure's own no is final. */
export const CLOUD_RETRY = { attemptsMax: 3, delayMs: 5000 } as const;

/** Refuses to take somebody else's resource for ours. */
export function assertOurs(
  work: Pick<Work, 'scenario'>,
  resource: { readonly id: string; readonly name: string; readonly tags: Readonly<Record<string, string>> },
): void {
  if (carriesOurTag(resource.tags, scenarioTag(work))) return;
  throw new StandbyError({
    code: 'NOT_OURS',
    what: `"${resource.name}" exists already and was not made for scenario "${work.scenario.name}".`,
    why: `It does not carry our tag (${resource.id}).`,
    next: 'Rename or remove it, then resume.',
  });
}

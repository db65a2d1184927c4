import { StandbyError } from '../errors.ts';
import { carriesOurTag } from '../model/tags.ts';
import type { StepContext } from '../plan/plan.ts';
import type { Operation } from '../ports/cloud.ts';
import { scenarioTag } from './blueprint.ts';
import type { Work } from './work.ts';

/**
 * Makes one long cloud operation survive a crash: its poller is the step's checkpoint, so a resumed step goes on
 * waiting for the operation that an earlier process began. The cloud takes the state of a failed one back itself.
 */
export async function durably<Out>(
  context: StepContext,
  call: (operation: Operation) => Promise<Out>,
): Promise<Out> {
  await context.assertHeld();
  const saved = context.checkpoint ?? undefined;
  return call({ signal: context.signal, saved, save: (state) => context.save(state) });
}

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

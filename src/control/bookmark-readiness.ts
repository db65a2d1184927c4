import { z } from 'zod';
import { inputError, isStandbyError, messageOf } from '../errors.ts';
import type { Readiness } from '../model/readiness.ts';
import type { Scenario } from '../model/scenario.ts';
import type { ControlSession, ReplicaBookmark } from '../wire/control-session.ts';
import type { Context } from './context.ts';
import { appendEvent } from './events.ts';

/**
 * Whether the server would start from a bookmark. It is looked at right after the bookmark is set and kept as an event:
 * what the disks held there is later only in the journal, and is not read without bringing the replica back to it.
 */
const CODE = 'BOOKMARK_READINESS';
const TEXT_CHARS_MAX = 500;

const keptSchema = z.object({
  bookmark: z.string(),
  sequence: z.string(),
  verdict: z.enum(['ready', 'not ready', 'not proven']),
  os: z.string().optional(),
  /** What was not as it should be. */
  faults: z.array(
    z.object({ code: z.string(), status: z.enum(['warning', 'error', 'skipped']), found: z.string() }),
  ),
  why: z.string().optional(),
});
export type BookmarkReadiness = z.infer<typeof keptSchema> & { readonly atMs: number };

export async function bootDiskOf(context: Context, scenario: Scenario): Promise<string> {
  const master = await context.store.masters.get(scenario.masterId);
  return master?.inventory.disks.find(({ boot }) => boot)?.id ?? 'disk0';
}

/** The bookmark stands, whatever comes of it. */
export async function keepReadiness(
  context: Context,
  scenario: Scenario,
  { name, sequence }: ReplicaBookmark,
  session: ControlSession,
): Promise<void> {
  const found = await looked(context, scenario, session);
  const faults = (found.verdicts ?? []).flatMap(({ code, status, found: was }) =>
    status === 'ok' ? [] : [{ code, status, found: was.slice(0, TEXT_CHARS_MAX) }],
  );
  const wrong = faults.filter(({ status }) => status === 'error').map(({ code }) => code);
  const { verdict, os, why } = found;
  await appendEvent(context, {
    level: verdict === 'not ready' ? 'warning' : 'info',
    code: CODE,
    text: `Right after bookmark "${name}" the replica of "${scenario.name}" was ${verdict} to start in Azure${wrong.length > 0 ? `: ${wrong.join(', ')}` : ''}${why ? `: ${why}` : ''}.`,
    scenarioId: scenario.id,
    data: {
      bookmark: name,
      sequence,
      verdict,
      ...(os ? { os: os.name } : {}),
      faults,
      ...(why ? { why } : {}),
    },
  });
}

type Looked = Pick<Readiness, 'verdict'> & Partial<Readiness> & { readonly why?: string };

async function looked(context: Context, scenario: Scenario, session: ControlSession): Promise<Looked> {
  try {
    return await session.readiness(scenario.id, await bootDiskOf(context, scenario));
  } catch (error) {
    if (!isStandbyError(error)) throw error;
    return { verdict: 'not proven', why: messageOf(error) };
  }
}

export async function keptReadiness(
  context: Context,
  scenario: Scenario,
  bookmark: string,
): Promise<BookmarkReadiness> {
  const events = await context.store.events.list({ scenarioId: scenario.id });
  const event = events.findLast(({ code, data }) => code === CODE && data?.bookmark === bookmark);
  if (event) return { ...keptSchema.parse(event.data), atMs: event.atMs };
  throw inputError(
    'BOOKMARK_NOT_LOOKED_AT',
    `Nobody looked into the replica of ${scenario.name} when bookmark "${bookmark}" was set.`,
    `What its disks held there is in the journal, which is not read without bringing the replica back. Known bookmarks: standby bookmarks ${scenario.name}`,
  );
}

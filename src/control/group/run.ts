import { isStandbyError, StandbyError } from '../../errors.ts';
import type { Group } from '../../model/group.ts';
import type { Context } from '../context.ts';
import { drillSentence, proposeDrill, startDrill } from '../drill.ts';
import { runScenario } from '../run.ts';
import { stopScenario } from '../stop.ts';
import { makeAtMost } from './at-most.ts';
import { viewOf } from './definition.ts';
import { memberContexts } from './member.ts';
import { groupNamed } from './named.ts';

/** C-25: all together, and how it went with each. What each does is durable by itself; the same command goes on. */
export interface TogetherReport {
  readonly group: Group;
  readonly members: readonly {
    readonly scenario: string;
    readonly state?: string;
    /** Of a drill, and where its report lies. */
    readonly outcome?: string;
    readonly folder?: string;
    readonly notes?: readonly string[];
    readonly error?: { readonly code: string; readonly what: string; readonly next?: string };
  }[];
}

/** First copies ask much of disks and lines. */
const COPIES_AT_ONCE = 4;
const STOPS_AT_ONCE = 8;

export async function runGroup(
  context: Context,
  name: string,
  options: { readonly parallel?: number } = {},
): Promise<TogetherReport> {
  return together(context, name, options.parallel ?? COPIES_AT_ONCE, async (member, scenario) => {
    const { status } = await runScenario(member, scenario);
    return { state: status.state };
  });
}

export async function stopGroup(context: Context, name: string): Promise<TogetherReport> {
  return together(context, name, STOPS_AT_ONCE, async (member, scenario) => {
    const { status, notes } = await stopScenario(member, scenario);
    return { state: status.state, notes };
  });
}

const DRILLS_AT_ONCE = 4;

/** Each member in a network of its own, where it meets nobody: that they work together is not proven by it. */
export async function drillGroup(
  context: Context,
  name: string,
  options: { readonly parallel?: number; readonly leaveOutPatch?: boolean } = {},
): Promise<TogetherReport> {
  const request = options.leaveOutPatch ? { leaveOutPatch: true } : {};
  return together(context, name, options.parallel ?? DRILLS_AT_ONCE, async (member, scenario) => {
    const { report, folder } = await startDrill(member, await proposeDrill(member, scenario, request));
    const notes = report.outcome === 'passed' ? [] : [drillSentence(report)];
    return { outcome: report.outcome, folder, notes };
  });
}

async function together(
  context: Context,
  name: string,
  count: number,
  act: (member: Context, scenario: string) => Promise<Omit<TogetherReport['members'][number], 'scenario'>>,
): Promise<TogetherReport> {
  const group = await groupNamed(context, name);
  const { members } = await viewOf(context, group);
  const contexts = memberContexts(context);
  const atMost = makeAtMost(count);
  const { signal } = context.host;
  const done = await Promise.all(
    members.map(({ scenario }) =>
      atMost(async () => {
        try {
          signal.throwIfAborted();
          return { scenario: scenario.name, ...(await act(contexts(scenario.name, signal), scenario.name)) };
        } catch (error) {
          if (signal.aborted || !isStandbyError(error)) throw signal.aborted ? interrupted(group) : error;
          const { code, what, next } = error;
          const why = { code, what: error.message || what, ...(next === undefined ? {} : { next }) };
          return { scenario: scenario.name, error: why };
        }
      }),
    ),
  );
  return { group, members: done };
}

function interrupted({ name }: Group): StandbyError {
  return new StandbyError({
    code: 'RUN_INTERRUPTED',
    what: `What group ${name} was doing was interrupted.`,
    next: 'The same command goes on where its members stand.',
    kind: 'interrupted',
    retry: 'later',
  });
}

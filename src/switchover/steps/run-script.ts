/**
 * Runs the user's own program at one moment of a switchover, a drill or a failback. Promises: it has ended well before the
 * run goes on, or the run stops here and says where its words are. It may run more than once (a process that dies in it
 * runs it again), so it must bear that. Undo does not run it: what it did is its owner's to take back.
 */
import { StandbyError } from '../../errors.ts';
import { type ScenarioScript, type ScriptEvent, type ScriptMoment, scriptsOf } from '../../model/redirect.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import type { Work } from '../work.ts';

export interface ScriptRun {
  readonly seconds?: number;
  readonly logFile?: string;
  /** The operator has left the scripts out. */
  readonly leftOut?: true;
}

export interface ScriptsOfEvent {
  readonly event: ScriptEvent;
  factsOf(at: ScriptMoment, context: StepContext): Readonly<Record<string, string>>;
  /** The command that goes on without scripts; a drill that fails is over. */
  readonly without?: string;
}

/** The stages of a scenario's scripts at a moment of that event. */
export function scriptStages(work: Work, of: ScriptsOfEvent): (at: ScriptMoment) => Step<ScriptRun>[][] {
  const scripts = scriptsOf(work.scenario.scripts, of.event);
  return (at) =>
    scripts.filter((script) => script.at === at).map((script) => [runScriptStep(work, script, of)]);
}

function runScriptStep(
  work: Work,
  script: ScenarioScript,
  { event, factsOf, without }: ScriptsOfEvent,
): Step<ScriptRun> {
  return {
    id: `run-script-${script.at}`,
    title: `Your script ${script.at.replace('-', ' ')}: ${script.command[0]}`,
    async run(context) {
      if (work.leaveOut?.scripts) return { leftOut: true };
      if (!work.runScript) throw new Error('this run has nobody to run scripts');
      try {
        return await work.runScript(script, { event, facts: factsOf(script.at, context) }, context.signal);
      } catch (error) {
        if (context.signal.aborted || !(error instanceof StandbyError) || !without) throw error;
        const { code, what, why, next = '' } = error;
        throw new StandbyError({
          code,
          what,
          ...(why === undefined ? {} : { why }),
          next: `${next} Or go on without your scripts: ${without}`.trim(),
          cause: error,
        });
      }
    },
  };
}

/**
 * Runs the user's own program at one moment of a switchover. Promises: it has ended well before the run goes on, or the
 * run stops here and says where its words are. It may run more than once (a process that dies in it runs it again), so it
 * must bear that. Undo does not run it: what it did is its owner's to take back.
 */
import { StandbyError } from '../../errors.ts';
import type { ScenarioScript } from '../../model/redirect.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import type { Work } from '../work.ts';

export interface ScriptRun {
  readonly seconds?: number;
  readonly logFile?: string;
  /** The operator has left the scripts out. */
  readonly leftOut?: true;
}

const runScriptId = (at: ScenarioScript['at']) => `run-script-${at}`;

export function runScriptStep(
  work: Work,
  script: ScenarioScript,
  factsOf: (context: StepContext) => Readonly<Record<string, string>>,
): Step<ScriptRun> {
  return {
    id: runScriptId(script.at),
    title: `Your script ${script.at.replace('-', ' ')}: ${script.command[0]}`,
    async run(context) {
      if (work.leaveOut?.scripts) return { leftOut: true };
      if (!work.runScript) throw new Error('this run has nobody to run scripts');
      try {
        return await work.runScript(script, factsOf(context), context.signal);
      } catch (error) {
        if (context.signal.aborted || !(error instanceof StandbyError)) throw error;
        const { code, what, why, next = '' } = error;
        throw new StandbyError({
          code,
          what,
          ...(why === undefined ? {} : { why }),
          next: `${next} Or go on without your scripts: standby switchover ${work.scenario.name} --no-scripts`.trim(),
          cause: error,
        });
      }
    },
  };
}

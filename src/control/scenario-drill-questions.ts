import { askFromProblem } from '../model/drill-place.ts';
import type { Answers } from '../ports/host.ts';
import type { ScenarioFile } from './scenario-file.ts';
import { type Screen, textOf } from './screen.ts';

const NOBODY = 'none';

/** Who may ask the health check of a drill. A subnet for drills stands in the scenario's file only. */
export const drillScreens: readonly Screen[] = [
  {
    name: 'drillAskFrom',
    needs: ['healthCheck'],
    when: (answers) => answers.healthCheck !== 'none',
    question: () => ({
      name: 'drillAskFrom',
      kind: 'text',
      message: 'Who may ask the health check in a drill (address or prefix)',
      hint: `the public address behind which this machine is: a drill then gets a public IP that admits it alone, for the minutes that it lasts; ${NOBODY}: nothing enters a drill, and its health check is skipped`,
      default: NOBODY,
      validate: (value) => (isNobody(textOf(value)) ? undefined : askFromProblem(textOf(value))),
    }),
  },
];

export function isNobody(text: string): boolean {
  return text.toLowerCase() === NOBODY;
}

/** Absent where it was not asked: whatever is set stays. */
export function drillFromAnswers(answers: Answers): Pick<ScenarioFile, 'drill'> {
  const askFrom = textOf(answers.drillAskFrom);
  return askFrom ? { drill: { askFrom: isNobody(askFrom) ? NOBODY : askFrom } } : {};
}

export function answersOfDrill({
  drill,
  healthChecks,
}: Pick<ScenarioFile, 'drill' | 'healthChecks'>): Answers {
  if (healthChecks.length === 0) return {};
  return { drillAskFrom: drill && 'askFrom' in drill ? drill.askFrom : NOBODY };
}

import { join } from 'node:path';
import { deployAppliance } from '../../../src/control/appliance/deploy.ts';
import type { DeployAnswers } from '../../../src/control/appliance/deploy-input.ts';
import { makeOwner } from '../../../src/plan/owner.ts';
import { cloudWith, smallBundle } from '../azure-context.ts';
import { makeContext } from '../make-context.ts';

/**
 * One `appliance deploy` as a process of its own, on a control home that others use too.
 * Arguments: home folder, answers, and the points `step:phase` at the first of which it kills itself like a power cut.
 */
const [folder = '', answers = '{}', points = ''] = process.argv.slice(2);
const deadly = points.split(',');
const context = await makeContext({
  folder,
  cloudWith,
  firstBoot: smallBundle(join(folder)),
  atPoint: ({ stepId, phase }) => {
    if (deadly.includes(`${stepId}:${phase}`)) process.kill(process.pid, 'SIGKILL');
  },
});
const report = await deployAppliance(
  { ...context, owner: makeOwner() },
  JSON.parse(answers) as DeployAnswers,
);
await context.close();
process.stdout.write(`${JSON.stringify({ applianceId: report.appliance.id, runId: report.run?.id })}\n`);

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { proposeDeploy } from '../../../src/control/appliance/deploy.ts';
import { type AzureContext, startAzureContext } from '../azure-context.ts';

let local: AzureContext;
beforeAll(async () => {
  local = await startAzureContext();
});
afterAll(() => local?.close());

interface Outcome {
  readonly signal?: string;
  readonly stdout: string;
}

async function deployInProcess(points: readonly string[]): Promise<Outcome> {
  const worker = join(import.meta.dirname, 'deploy-worker.ts');
  const args = [worker, local.context.folder, JSON.stringify(local.deployAnswers()), points.join()];
  try {
    return await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
  } catch (error) {
    const { signal, stdout, stderr } = error as Outcome & { stderr: string };
    if (signal !== 'SIGKILL') throw new Error(stderr, { cause: error });
    return { signal, stdout };
  }
}

it('ends in one appliance, with one token and nothing twice, however often its process is killed on the way', async () => {
  const { plan, input } = await proposeDeploy(local.context, local.deployAnswers());
  const steps = plan.stages.flat().map((step) => step.id);
  expect(input.name).toBe('gate');
  const killed: string[] = [];
  const killedSteps = () => killed.map((point) => point.split(':')[0]);
  const tokens = new Set<string>();
  // Each process dies before a step has acted, or after it and before that is written down (`before-done` is the same moment).
  for (;;) {
    const point = await nextToKill(steps, killed);
    if (point === undefined) break;
    const outcome = await deployInProcess([point]);
    if (outcome.signal === undefined) throw new Error(`It did not die at ${point}: ${outcome.stdout}`);
    killed.push(point);
    const [record] = await local.context.store.appliances.list();
    if (record) tokens.add((await local.context.secrets.get(`appliance/${record.id}/token`)) ?? 'none');
  }
  // Of the steps of one stage, some are done before the process dies beside them: at least one of each stage was killed.
  expect(plan.stages.every((stage) => stage.some((step) => killedSteps().includes(step.id)))).toBe(true);
  const { stdout } = await deployInProcess([]);
  const done = JSON.parse(stdout) as { applianceId: string; runId: string };

  const appliances = await local.context.store.appliances.list();
  expect(appliances.map((one) => [one.id, one.name])).toEqual([[done.applianceId, 'gate']]);
  expect([...tokens]).toEqual([await local.context.secrets.get(`appliance/${done.applianceId}/token`)]);
  const runs = await local.context.store.runs.list();
  expect(runs.map((run) => [run.id, run.status])).toEqual([[done.runId, 'done']]);
  const made = await (await local.cloud()).listTagged('standby-scenario', 'appliance/gate');
  const storage = made.filter((one) => /storageAccounts$/i.test(one.type));
  const names = made.filter((one) => !storage.includes(one)).map((one) => one.name);
  expect(storage).toHaveLength(1);
  expect(names.sort()).toEqual(['gate', 'gate-journal', 'gate-nic', 'gate-nsg', 'gate-os', 'gate-pip']);
}, 300_000);

/** The first point of a step that is not done yet, at which nobody was killed; a done step is never entered again. */
async function nextToKill(steps: readonly string[], killed: readonly string[]): Promise<string | undefined> {
  const [run] = await local.context.store.runs.list();
  const done = new Set(run?.steps.filter((step) => step.status === 'done').map((step) => step.stepId));
  return steps
    .filter((step) => !done.has(step))
    .flatMap((step) => ['started', 'acted'].map((phase) => `${step}:${phase}`))
    .find((point) => !killed.includes(point));
}

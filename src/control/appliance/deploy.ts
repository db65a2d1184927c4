import { randomUUID } from 'node:crypto';
import { inputError, StandbyError } from '../../errors.ts';
import type { Appliance } from '../../model/appliance.ts';
import type { Plan, RunRecord } from '../../plan/plan.ts';
import { type RunOptions, runPlan, undoPlan } from '../../plan/runner.ts';
import { accountNamed } from '../account.ts';
import type { Context } from '../context.ts';
import { runTelling } from '../run-telling.ts';
import { type DeployAnswers, type DeployInput, deployInput } from './deploy-input.ts';
import { applianceTag, DEPLOY_APPLIANCE, deployPlan, makeDeployment } from './deploy-plan.ts';
import { applianceNamed } from './records.ts';

/**
 * Deploying an appliance as a durable run. The same command again after a crash goes on with the unfinished run of
 * that name; after it has finished, it changes nothing and says so.
 */
export interface DeployReport {
  readonly appliance: Appliance;
  /** Absent when the appliance was there already. */
  readonly run?: RunRecord;
  readonly already: boolean;
  /** Sentences for the person: what was made up for them, what to do next. */
  readonly notes: readonly string[];
}

/** A deployment that has been looked at but not begun: its plan can be shown before the confirmation. */
export interface DeployProposal {
  readonly input: DeployInput;
  readonly plan: Plan;
  /** An unfinished run that would be gone on with. */
  readonly unfinished?: RunRecord;
  /** The appliance is there already: nothing would be done. */
  readonly existing?: Appliance;
}

/** Checks the answers against Azure and shows what would be made. Changes nothing. */
export async function proposeDeploy(context: Context, answers: DeployAnswers): Promise<DeployProposal> {
  const account = await accountNamed(context, answers.account);
  const cloud = await context.cloudFor(account);
  const [unfinished] = await context.store.runs.list({
    subject: subjectOf(answers.name),
    kind: DEPLOY_APPLIANCE,
    statuses: ['running', 'failed'],
  });
  if (unfinished) {
    const input = unfinished.input as DeployInput;
    refuseOtherTarget(input, answers, account.id, unfinished);
    const plan = deployPlan(makeDeployment({ context, cloud, account, input }, unfinished.id));
    return { input, plan, unfinished };
  }
  const input = await deployInput(cloud, account, answers);
  const plan = deployPlan(makeDeployment({ context, cloud, account, input }, 'not-begun'));
  const existing = await context.store.appliances.byName(input.name);
  if (!existing) return { input, plan };
  if (isSame(existing, input)) return { input, plan, existing };
  throw inputError(
    'NAME_TAKEN',
    `There is already an appliance ${existing.name}, in another place (${existing.azure?.region ?? existing.address}).`,
    'Choose another name.',
  );
}

export async function deployAppliance(context: Context, answers: DeployAnswers): Promise<DeployReport> {
  const { input, plan, unfinished, existing } = await proposeDeploy(context, answers);
  if (existing) return { appliance: existing, already: true, notes: [nextStep(existing)] };
  const run =
    unfinished ??
    (await context.store.runs.create({
      id: randomUUID(),
      kind: DEPLOY_APPLIANCE,
      subject: subjectOf(input.name),
      title: plan.title,
      input,
    }));
  return goOn(context, run);
}

/** `standby resume` for a run of this kind; also what `deployAppliance` itself does. */
export async function resumeDeploy(context: Context, runId: string): Promise<DeployReport> {
  return goOn(context, await runNamed(context, runId));
}

/** Takes back what the run made. Virtual network, security group, storage account and resource group stay. */
export async function undoDeploy(context: Context, runId: string): Promise<RunRecord> {
  const run = await runNamed(context, runId);
  const { name } = run.input as DeployInput;
  const appliance = await context.store.appliances.byName(name);
  const scenarios = (await context.store.scenarios.list()).filter((one) => one.applianceId === appliance?.id);
  const masters = (await context.store.masters.list()).filter((one) => one.applianceId === appliance?.id);
  if (appliance && scenarios.length + masters.length > 0) {
    throw inputError(
      'APPLIANCE_IN_USE',
      `The appliance ${name} is in use by ${[...scenarios, ...masters].map((one) => one.name).join(', ')}.`,
      'Remove those first.',
    );
  }
  return undoPlan(await runOptions(context, run));
}

async function goOn(context: Context, run: RunRecord): Promise<DeployReport> {
  const done = await runPlan(await runOptions(context, run));
  const input = run.input as DeployInput;
  const appliance = await applianceNamed(context, input.name);
  const key =
    'No SSH key was given, so one was made whose private half nobody has: logging in to the VM is not possible.';
  const notes = [...(input.sshKeyDiscarded ? [key] : []), nextStep(appliance)];
  return { appliance, run: done, already: false, notes };
}

async function runOptions(context: Context, run: RunRecord): Promise<RunOptions> {
  const input = run.input as DeployInput;
  const account = await context.store.accounts.get(input.accountId);
  if (!account) {
    throw new StandbyError({
      code: 'ACCOUNT_UNKNOWN',
      what: `The account of the deployment of ${input.name} is no longer registered.`,
      next: 'Register it again, then deploy again.',
    });
  }
  const cloud = await context.cloudFor(account);
  const { host } = context;
  return {
    store: context.store.runs,
    plan: deployPlan(makeDeployment({ context, cloud, account, input }, run.id)),
    run,
    owner: context.owner,
    clock: context.clock,
    log: context.log,
    signal: host.signal,
    ...runTelling(host),
    ...(context.atPoint ? { atPoint: context.atPoint } : {}),
  };
}

async function runNamed(context: Context, runId: string): Promise<RunRecord> {
  const run = await context.store.runs.get(runId);
  if (run?.kind === DEPLOY_APPLIANCE) return run;
  throw inputError(
    'RUN_UNKNOWN',
    `There is no deployment with the run id ${runId}.`,
    'standby runs lists them.',
  );
}

function subjectOf(name: string): string {
  return applianceTag(name.trim().toLowerCase());
}

function isSame(appliance: Appliance, input: DeployInput): boolean {
  const { azure } = appliance;
  return (
    azure?.accountId === input.accountId &&
    azure.region === input.region &&
    azure.resourceGroup.toLowerCase() === input.resourceGroup.toLowerCase()
  );
}

/** The run keeps its own answers; another place under the same name would be another appliance. */
function refuseOtherTarget(
  input: DeployInput,
  answers: DeployAnswers,
  accountId: string,
  run: RunRecord,
): void {
  const group = answers.resourceGroup.trim().toLowerCase();
  if (input.accountId === accountId && input.resourceGroup.toLowerCase() === group) return;
  throw new StandbyError({
    code: 'RUN_IN_PROGRESS',
    what: `A deployment of ${input.name} into ${input.resourceGroup} has not been finished.`,
    next: `standby resume ${run.id} - or take it back: standby resume ${run.id} --undo`,
    kind: 'input',
  });
}

function nextStep(appliance: Appliance): string {
  const { name } = appliance;
  return [
    'Port 25000 is closed until you open it. Next:',
    `  standby appliance open-port ${name}`,
    `  standby appliance check ${name}`,
  ].join('\n');
}

import { userInfo } from 'node:os';
import { inputError, isStandbyError, StandbyError } from '../errors.ts';
import { memberIdsOf } from '../model/group.ts';
import type { AcceptedWarning, Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { Verdict } from '../model/verdict.ts';
import { rungsOf } from '../switchover/ladder.ts';
import type { Moment } from '../verify/check.ts';
import { verifyScenario } from '../verify/verify.ts';
import { refuseFindings } from './checks-failed.ts';
import type { Context } from './context.ts';
import { appendEvent } from './events.ts';
import { withCommon } from './group/file.ts';
import { groupOf } from './group/named.ts';
import { priceTable } from './price-file.ts';
import { keyMissing, redirectLooks } from './redirect.ts';
import { type RedirectKey, redirectKeyName } from './redirect-key.ts';
import { scenarioActions } from './role.ts';
import type { ScenarioFile } from './scenario-file.ts';
import { scenarioNamed, unfinishedRuns } from './scenario-named.ts';
import { scenarioFromFile } from './scenario-resolve.ts';
import { BUSY_STATES, changeStatus, statusOf } from './scenario-status.ts';

export interface ScenarioReport {
  readonly scenario: Scenario;
  readonly status: ScenarioStatus;
  readonly verdicts: readonly Verdict[];
}

export interface SaveOptions {
  /** Codes of warnings that the person accepts. */
  readonly accept: readonly string[];
  /** The command to give `--accept` to. */
  readonly command: string;
  /** For DNS updates, when it is given anew. */
  readonly redirectKey?: RedirectKey | undefined;
}

/** Checks a definition and saves it as `stopped`. Nothing is written while a check finds an error or an open warning. */
export async function createScenario(
  context: Context,
  file: ScenarioFile,
  options: SaveOptions,
): Promise<ScenarioReport> {
  if (await context.store.scenarios.byName(file.name)) {
    throw inputError(
      'NAME_TAKEN',
      `There is a scenario ${file.name} already.`,
      `Choose another name, or change it: standby scenario edit ${file.name}`,
    );
  }
  const draft = await scenarioFromFile(context, file);
  await refuseWithoutKey(context, draft, options.redirectKey);
  const verdicts = await verdictsFor(context, draft, 'create', options.redirectKey);
  const scenario = withAccepted(context, draft, options.accept, verdicts);
  refuseFindings(verdicts, {
    scenario: scenario.name,
    accepted: scenario.acceptedWarnings.map((warning) => warning.code),
    command: options.command,
  });
  // The key first: a process that dies between the two leaves a ciphertext that nothing names.
  await keepKey(context, scenario, options.redirectKey);
  await context.store.scenarios.insert(scenario);
  const status = await changeStatus(context, scenario, { state: 'stopped' });
  await appendEvent(context, {
    level: 'info',
    code: 'SCENARIO_CREATED',
    text: `Scenario ${scenario.name} was created; nothing is copied before: standby run ${scenario.name}`,
    scenarioId: scenario.id,
  });
  return { scenario, status, verdicts };
}

/** Changes a scenario that stands still; what the copied disks depend on stays as long as there are copied disks. */
export async function editScenario(
  context: Context,
  name: string,
  file: ScenarioFile,
  options: SaveOptions,
): Promise<ScenarioReport> {
  const saved = await scenarioNamed(context, name);
  const status = await editable(context, saved);
  const changed = await scenarioFromFile(context, file, saved);
  const other = await context.store.scenarios.byName(file.name);
  if (other && other.id !== saved.id)
    throw inputError('NAME_TAKEN', `There is a scenario ${file.name} already.`);
  if (status.epoch > 0) refuseMovingCopies(saved, changed);
  await refuseWithoutKey(context, changed, options.redirectKey);
  const verdicts = await verdictsFor(context, changed, 'create', options.redirectKey);
  const scenario = withAccepted(context, changed, options.accept, verdicts);
  refuseFindings(verdicts, {
    scenario: scenario.name,
    accepted: scenario.acceptedWarnings.map((warning) => warning.code),
    command: options.command,
  });
  await keepKey(context, scenario, options.redirectKey);
  await context.store.scenarios.update(saved.id, () => scenario);
  if (scenario.redirect?.kind !== 'dns-update') await context.secrets.remove(redirectKeyName(scenario.id));
  const renamed = await changeStatus(context, scenario, {});
  if (renamed.name !== scenario.name) {
    await context.store.statuses.update(scenario.id, (one) => ({ ...one, name: scenario.name }));
  }
  await appendEvent(context, {
    level: 'info',
    code: 'SCENARIO_EDITED',
    text: `Scenario ${scenario.name} was changed by ${whoAmI()}.`,
    scenarioId: scenario.id,
  });
  return { scenario, status: await statusOf(context, scenario), verdicts };
}

async function refuseWithoutKey(context: Context, draft: Scenario, given?: RedirectKey): Promise<void> {
  const { redirect } = draft;
  if (redirect?.kind !== 'dns-update') return;
  if (!given && (await context.secrets.get(redirectKeyName(draft.id))) === undefined)
    throw keyMissing(draft.name);
  if (!given || given.name === redirect.keyName) return;
  throw inputError(
    'REDIRECT_KEY_OTHER',
    `The key file holds the key ${given.name}; the scenario wants ${redirect.keyName}.`,
    'Give the file of that key, or change redirect.keyName.',
  );
}

async function keepKey(context: Context, { id }: Scenario, key?: RedirectKey): Promise<void> {
  if (key) await context.secrets.set(redirectKeyName(id), key.secret);
}

/** Throws while something works on the scenario. */
export async function editable(context: Context, scenario: Scenario): Promise<ScenarioStatus> {
  const status = await statusOf(context, scenario);
  const unfinished = await unfinishedRuns(context, scenario);
  const [run] = unfinished;
  if (!run && !BUSY_STATES.includes(status.state)) return status;
  throw inputError(
    'SCENARIO_BUSY',
    `Scenario ${scenario.name} is ${status.state}; it cannot be changed now.`,
    run
      ? `Let its run ${run.id} end (standby resume ${run.id}), or stop it: standby stop ${scenario.name}`
      : `Stop it first: standby stop ${scenario.name}`,
  );
}

/** Replica disks are found by the scenario's name, group and master: moving those would lose them. */
function refuseMovingCopies(saved: Scenario, changed: Scenario): void {
  const moved = [
    saved.name !== changed.name ? 'name' : '',
    saved.masterId !== changed.masterId ? 'master' : '',
    saved.applianceId !== changed.applianceId ? 'appliance' : '',
    saved.region !== changed.region ? 'region' : '',
    saved.vm.resourceGroup !== changed.vm.resourceGroup ? 'resource group' : '',
    saved.vm.diskType !== changed.vm.diskType ? 'disk type' : '',
    saved.vm.zone !== changed.vm.zone ? 'zone' : '',
    saved.excludedVolumeIds.toSorted().join() !== changed.excludedVolumeIds.toSorted().join()
      ? 'volumes to leave out'
      : '',
  ].filter((one) => one !== '');
  if (moved.length === 0) return;
  throw inputError(
    'COPIES_EXIST',
    `The ${moved.join(', ')} of ${saved.name} cannot be changed, because its copied disks depend on it.`,
    `Make another scenario, or remove this one with its copies: standby scenario remove ${saved.name} --delete-replica`,
  );
}

/** Looks, and stores nothing but the warnings that the person accepts by code. */
export async function verifySavedScenario(
  context: Context,
  name: string,
  moment: Moment = 'watch',
  accept: readonly string[] = [],
): Promise<ScenarioReport> {
  const saved = await scenarioNamed(context, name);
  const verdicts = await verdictsFor(context, saved, moment);
  const scenario = await acceptWarnings(context, saved, accept, verdicts);
  return { scenario, status: await statusOf(context, scenario), verdicts };
}

/** Stores who accepted a warning and when; `verify` names it still, but it no longer stands in the way. */
export async function acceptWarnings(
  context: Context,
  scenario: Scenario,
  accept: readonly string[],
  verdicts: readonly Verdict[],
): Promise<Scenario> {
  const changed = withAccepted(context, scenario, accept, verdicts);
  if (changed.acceptedWarnings.length === scenario.acceptedWarnings.length) return scenario;
  return context.store.scenarios.update(scenario.id, (one) => ({
    ...one,
    acceptedWarnings: changed.acceptedWarnings,
  }));
}

/** An appliance that does not answer is no reason not to look at the rest: the checks say what they could not see. */
export async function verdictsFor(
  context: Context,
  given: Scenario,
  moment: Moment,
  redirectKey?: RedirectKey,
): Promise<readonly Verdict[]> {
  const { store } = context;
  const group = await groupOf(context, given.id);
  const scenario = group ? withCommon(given, group.common) : given;
  const [account, appliance, masters, otherScenarios, statuses, prices] = await Promise.all([
    store.accounts.get(scenario.accountId),
    store.appliances.get(scenario.applianceId),
    store.masters.list(),
    store.scenarios.list(),
    store.statuses.list(),
    priceTable(context),
  ]);
  if (!account) throw accountGone(scenario);
  const found = await context.cloudFor(account);
  const cloud = context.forChecks?.(found) ?? found;
  const status = statuses.find((one) => one.id === scenario.id);
  const standing = statuses.filter((one) => one.standbyVmId !== undefined).map((one) => one.id);
  const inventories = new Map(masters.map((one) => [one.id, one.inventory]));
  const inventory = inventories.get(scenario.masterId);
  const session = appliance ? await context.connect(appliance).catch(unreachable) : undefined;
  try {
    return await verifyScenario({
      scenario,
      inventory,
      appliance,
      cloud,
      account,
      otherScenarios,
      otherInventories: inventories,
      standingScenarioIds: new Set(standing),
      ...(group ? { group: { name: group.name, scenarioIds: memberIdsOf(group) } } : {}),
      rungs: rungsOf(scenario.vm),
      ...(session ? { session } : {}),
      ...(status ? { status } : {}),
      actions: scenarioActions(scenario, inventory, appliance),
      prices,
      ...redirectLooks(context, scenario, redirectKey),
      clock: context.clock,
      moment,
    });
  } finally {
    await session?.close();
  }
}

function unreachable(error: unknown): undefined {
  if (isStandbyError(error)) return undefined;
  throw error;
}

export function accountGone(scenario: Scenario): StandbyError {
  return new StandbyError({
    code: 'ACCOUNT_UNKNOWN',
    what: `The account of scenario ${scenario.name} is not registered any more.`,
    next: 'Register it again: standby account add - then: standby scenario edit',
    kind: 'input',
  });
}

function withAccepted(
  context: Context,
  scenario: Scenario,
  accept: readonly string[],
  verdicts: readonly Verdict[],
): Scenario {
  const warnings = verdicts.filter((one) => one.status === 'warning').map((one) => one.code);
  const pointless = accept.filter((code) => !warnings.includes(code));
  if (pointless.length > 0) {
    throw inputError(
      'WARNING_UNKNOWN',
      `There is no warning ${pointless.join(', ')} to accept.`,
      warnings.length > 0 ? `Warnings found: ${warnings.join(', ')}.` : 'The checks found no warning at all.',
    );
  }
  const known = scenario.acceptedWarnings.map((one) => one.code);
  const added: AcceptedWarning[] = accept
    .filter((code, index) => !known.includes(code) && accept.indexOf(code) === index)
    .map((code) => ({ code, who: whoAmI(), atMs: context.clock.now() }));
  return { ...scenario, acceptedWarnings: [...scenario.acceptedWarnings, ...added] };
}

/** The name this process runs under. */
export function whoAmI(): string {
  try {
    return userInfo().username;
  } catch (error) {
    // A container may run under a number that has no name.
    if (error instanceof Error && 'code' in error) return `user ${process.getuid?.() ?? 'unknown'}`;
    throw error;
  }
}

export async function listScenarios(
  context: Context,
): Promise<readonly { readonly scenario: Scenario; readonly status: ScenarioStatus }[]> {
  const scenarios = await context.store.scenarios.list();
  return Promise.all(
    scenarios.map(async (scenario) => ({ scenario, status: await statusOf(context, scenario) })),
  );
}

import { inputError, isStandbyError, messageOf } from '../errors.ts';
import type { Scenario } from '../model/scenario.ts';
import { carriesOurTag } from '../model/tags.ts';
import type { Cloud, TaggedResource } from '../ports/cloud.ts';
import type { Context } from './context.ts';
import { groupOf } from './group/named.ts';
import { redirectKeyName } from './redirect-key.ts';
import { accountGone } from './scenario.ts';
import { resourceGroupOf } from './scenario-lookups.ts';
import { BACKUP, scenarioNamed } from './scenario-named.ts';
import { statusOf } from './scenario-status.ts';

export interface RemoveReport {
  readonly scenario: Scenario;
  /** Azure resources that were deleted. */
  readonly deleted: readonly string[];
  readonly notes: readonly string[];
}

/** What may be deleted with the copies; anything else that carries the tag belongs to a standby and stays. */
const COPY_ROLES = ['replica-disk', 'snapshot'];

/**
 * Forgets a scenario that is stopped. With copied disks in Azure it is refused unless they are to be deleted too:
 * forgetting them would leave disks that cost money and that nobody knows. Dying at any line is repaired by the same
 * command: the scenario goes last.
 */
export async function removeScenario(
  context: Context,
  name: string,
  options: { readonly deleteReplica: boolean },
): Promise<RemoveReport> {
  const scenario = await scenarioNamed(context, name);
  await refuseUnlessStopped(context, scenario);
  await refuseMember(context, scenario);
  const account = await context.store.accounts.get(scenario.accountId);
  if (!account) throw accountGone(scenario);
  const cloud = await context.cloudFor(account);
  const tagged = await cloud.listTagged('standby-scenario', scenario.id);
  const copies = tagged.filter((one) => COPY_ROLES.includes(one.tags['standby-role'] ?? ''));
  refuseWhileNeeded(scenario, tagged, copies, options.deleteReplica);
  const notes = copies.length > 0 ? await forgetOnAppliance(context, scenario) : [];
  const deleted = await deleteCopies(cloud, scenario, copies);
  await context.store.scenarios.remove(scenario.id);
  await context.store.statuses.remove(scenario.id);
  await context.secrets.remove(redirectKeyName(scenario.id));
  return { scenario, deleted, notes };
}

async function refuseUnlessStopped(context: Context, scenario: Scenario): Promise<void> {
  const status = await statusOf(context, scenario);
  const statuses = ['running', 'failed'] as const;
  const [unfinished] = await context.store.runs.list({ subject: scenario.id, statuses });
  if (status.state === 'stopped' && !unfinished) return;
  throw inputError(
    'SCENARIO_NOT_STOPPED',
    `Scenario ${scenario.name} is ${status.state}${unfinished ? ` and has an unfinished ${unfinished.kind}` : ''}.`,
    unfinished?.kind === BACKUP
      ? `Take it back first: standby resume ${unfinished.id} --undo`
      : `Stop it first: standby stop ${scenario.name}`,
  );
}

async function refuseMember(context: Context, { id, name }: Scenario): Promise<void> {
  const group = await groupOf(context, id);
  if (!group) return;
  throw inputError(
    'SCENARIO_IN_GROUP',
    `Scenario ${name} is in group ${group.name}.`,
    `Take it out first: standby group edit ${group.name} --wave ... (all waves anew), or standby group remove ${group.name}`,
  );
}

function refuseWhileNeeded(
  scenario: Scenario,
  tagged: readonly TaggedResource[],
  copies: readonly TaggedResource[],
  deleteReplica: boolean,
): void {
  const [backup] = tagged.filter((one) => one.tags['standby-role'] === 'backup');
  if (backup) {
    throw inputError(
      'BACKUPS_EXIST',
      `Scenario ${scenario.name} has backups of its standby in Azure, such as ${backup.name}.`,
      `Look: standby backup list ${scenario.name}. To delete them all: standby backup remove ${scenario.name} --all`,
    );
  }
  const others = tagged.filter((one) => !copies.includes(one));
  if (others.length > 0) {
    throw inputError(
      'STANDBY_EXISTS',
      `Scenario ${scenario.name} has a standby in Azure: ${others.map((one) => one.name).join(', ')}.`,
      `Remove the standby first: standby vm stop ${scenario.name} --remove`,
    );
  }
  if (copies.length === 0 || deleteReplica) return;
  throw inputError(
    'COPIES_EXIST',
    `Scenario ${scenario.name} has copied disks in Azure: ${copies.map((one) => one.name).join(', ')}.`,
    `To delete them too: standby scenario remove ${scenario.name} --delete-replica`,
  );
}

/** The appliance closes its side, so that a LUN that vanishes is no fault there. Without it the disks go all the same. */
async function forgetOnAppliance(context: Context, scenario: Scenario): Promise<readonly string[]> {
  const appliance = await context.store.appliances.get(scenario.applianceId);
  if (!appliance) return [];
  try {
    const session = await context.connect(appliance);
    try {
      await session.closeReplica(scenario.id);
    } finally {
      await session.close();
    }
    return [];
  } catch (error) {
    if (!isStandbyError(error)) throw error;
    return [`The appliance ${appliance.name} could not be told: ${messageOf(error)}`];
  }
}

async function deleteCopies(
  cloud: Cloud,
  scenario: Scenario,
  copies: readonly TaggedResource[],
): Promise<readonly string[]> {
  for (const copy of copies) {
    if (copy.tags['standby-role'] === 'snapshot') await cloud.disks.deleteSnapshot(copy.id, scenario.id);
    else await deleteDisk(cloud, scenario, copy);
  }
  return copies.map((copy) => copy.id);
}

async function deleteDisk(cloud: Cloud, scenario: Scenario, copy: TaggedResource): Promise<void> {
  const disk = await cloud.disks.get(resourceGroupOf(copy.id), copy.name);
  // Ours by its tag now, not by a list that may be old.
  if (!disk || !carriesOurTag(disk.tags, scenario.id)) return;
  if (disk.attachedTo) await cloud.machines.detachDisks(disk.attachedTo, [disk.id]);
  await cloud.disks.delete(disk.id, scenario.id);
}

import { inputError } from '../../errors.ts';
import { GROUP_MEMBERS_MAX, type Group, memberIdsOf } from '../../model/group.ts';
import type { Scenario } from '../../model/scenario.ts';
import type { Answers } from '../../ports/host.ts';
import type { Context } from '../context.ts';
import { answersFromFile, NICS_MAX, nicAnswer } from '../scenario-file.ts';
import { fileFromScenario } from '../scenario-resolve.ts';
import { refuseWhileUnderWay } from './definition.ts';
import { groupNamed } from './named.ts';

/** A group that a scenario is about to be made for, and the answers that all its members gave alike. */
export interface Joining {
  readonly group: Group;
  readonly shared: Answers;
}

/** Not the names, disks, addresses and records that each server has of its own, nor what a group sets for all anyway. */
const SHARED = [
  ...['purpose', 'account', 'region', 'appliance', 'capture', 'runAfterReboot', 'isAlivePing'],
  ...['vmSize', 'resourceGroup', 'diskType', 'zone', 'fallbackZones', 'drillAskFrom'],
  ...['backupAfterSwitchover', 'backupAt', 'backupWindow', 'backupMinutes', 'backupKeep'],
  ...Array.from({ length: NICS_MAX }, (_, index) => index).flatMap((index) =>
    ['virtualNetwork', 'subnet', 'securityGroup', 'publicIp', 'dnsServers'].map((name) =>
      nicAnswer(name, index),
    ),
  ),
];

/** Refuses a group that cannot take another member now. */
export async function joiningOf(context: Context, groupName: string): Promise<Joining> {
  const group = await groupNamed(context, groupName);
  await refuseWhileUnderWay(context, group);
  const ids = memberIdsOf(group);
  if (ids.length >= GROUP_MEMBERS_MAX) {
    throw inputError('GROUP_FULL', `Group ${group.name} has ${ids.length} members, and can have no more.`);
  }
  const scenarios = (await context.store.scenarios.list()).filter((one) => ids.includes(one.id));
  const answers = await Promise.all(
    scenarios.map(async (one) => answersFromFile(await fileFromScenario(context, one))),
  );
  const alike = SHARED.filter((name) => new Set(answers.map((one) => JSON.stringify(one[name]))).size === 1);
  const [first = {}] = answers;
  const shared = alike.flatMap((name) => (first[name] === undefined ? [] : [[name, first[name]]]));
  return { group, shared: Object.fromEntries(shared) };
}

/** In the last wave nobody waits for it. */
export async function joinLastWave(context: Context, { id }: Group, scenario: Scenario): Promise<Group> {
  return context.store.groups.update(id, (group) => ({
    ...group,
    waves: group.waves.map((wave, index) =>
      index === group.waves.length - 1 ? { ...wave, scenarioIds: [...wave.scenarioIds, scenario.id] } : wave,
    ),
  }));
}

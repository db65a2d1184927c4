import { randomUUID } from 'node:crypto';
import { inputError } from '../errors.ts';
import type { Account } from '../model/account.ts';
import type { Appliance, Master } from '../model/appliance.ts';
import { backupProblem } from '../model/backup.ts';
import { isLiveCapture } from '../model/capture.ts';
import { ASKED_IN_SUBNET, type DrillAskFrom, drillSubnetOf } from '../model/drill-place.ts';
import { scriptsProblem } from '../model/redirect.ts';
import type { Scenario, ScenarioNic } from '../model/scenario.ts';
import type { Cloud } from '../ports/cloud.ts';
import { sameRegion } from '../verify/region.ts';
import type { Context } from './context.ts';
import { isNobody } from './scenario-drill-questions.ts';
import { addressText, type ScenarioFile, type ScenarioFileNic } from './scenario-file.ts';
import { resourceKey } from './scenario-lookups.ts';

/**
 * Turns names into what they name here. Every name that means nothing here is found before the one error that
 * lists them all. `base` is the scenario that is edited; it keeps its id and what people accepted.
 */
export async function scenarioFromFile(
  context: Context,
  file: ScenarioFile,
  base?: Scenario,
): Promise<Scenario> {
  const { store } = context;
  const problems: string[] = [];
  const [account, appliance, master] = await Promise.all([
    store.accounts.byName(file.account),
    store.appliances.byName(file.appliance),
    store.masters.byName(file.master),
  ]);
  if (!account) problems.push(`account: there is no account ${file.account} here`);
  if (!appliance) problems.push(`appliance: there is no appliance ${file.appliance} here`);
  if (!master) problems.push(`master: no master ${file.master} has joined here`);
  if (!account || !appliance || !master) throw unresolved(problems);
  problems.push(...misfits(file, { account, appliance, master }));
  const cloud = await context.cloudFor(account);
  const nics = await resolveNics(cloud, file, problems);
  const drill = await resolveDrill(cloud, file, base, problems);
  const drillSchedule = file.drillSchedule ?? base?.drillSchedule;
  if (problems.length > 0) throw unresolved(problems);
  return {
    id: base?.id ?? randomUUID(),
    name: file.name,
    purpose: file.purpose,
    serverType: file.serverType,
    productType: file.productType,
    replicaType: file.replicaType,
    switchoverMode: file.switchoverMode,
    accountId: account.id,
    applianceId: appliance.id,
    masterId: master.id,
    region: file.region,
    capture: file.capture,
    ...(file.runAfterReboot === false ? { runAfterReboot: false } : {}),
    excludedVolumeIds: file.excludedVolumes,
    vm: file.vm,
    nics,
    ...(drill ? { drill } : {}),
    ...(drillSchedule === undefined ? {} : { drillSchedule }),
    ...watchSettings(file, base),
    healthChecks: file.healthChecks,
    ...(file.redirect ? { redirect: file.redirect } : {}),
    ...(file.scripts ? { scripts: file.scripts } : {}),
    ...(file.backup ? { backup: file.backup } : {}),
    acceptedWarnings: base?.acceptedWarnings ?? [],
    createdAtMs: base?.createdAtMs ?? context.clock.now(),
  };
}

/** No question asks for these: editing keeps what `standby is-alive`, `scrub --every` and `retention` have set. */
function watchSettings(
  file: ScenarioFile,
  base: Scenario | undefined,
): Pick<Scenario, 'isAlive' | 'scrubEveryHours' | 'rewind'> {
  const isAlive = file.purpose === 'migration' ? { ping: false } : { ...base?.isAlive, ...file.isAlive };
  if (!isLiveCapture(file.capture)) return { isAlive };
  const scrubEveryHours = file.scrubEveryHours ?? base?.scrubEveryHours;
  const rewind = file.rewind ?? base?.rewind;
  return {
    isAlive,
    ...(scrubEveryHours === undefined ? {} : { scrubEveryHours }),
    ...(rewind === undefined ? {} : { rewind }),
  };
}

function misfits(
  file: ScenarioFile,
  found: { readonly account: Account; readonly appliance: Appliance; readonly master: Master },
): string[] {
  const { account, appliance, master } = found;
  const problems: string[] = [];
  const { ping, tcpPort, script } = file.isAlive;
  if (file.purpose === 'migration' && (ping || tcpPort !== undefined || script !== undefined)) {
    problems.push(`isAlive${ping ? '.ping' : ''}: it is always off for a migration`);
  }
  if ((file.scrubEveryHours !== undefined || file.rewind) && !isLiveCapture(file.capture)) {
    problems.push('scrubEveryHours and rewind: they are for live capture methods only');
  }
  if (file.redirect?.address === 'public' && file.nics[0]?.publicIp !== true) {
    problems.push('redirect.address: the first NIC has no public IP');
  }
  const backupWrong = file.backup && backupProblem(file.backup);
  if (backupWrong) problems.push(`backup: ${backupWrong}`);
  const scriptsWrong = scriptsProblem(file.scripts ?? []);
  if (scriptsWrong) problems.push(`scripts: ${scriptsWrong}`);
  if (file.vm.fallbackZones && file.vm.zone === undefined) {
    problems.push('vm.fallbackZones: it needs vm.zone, the zone that is tried first');
  }
  if (file.runAfterReboot === false && !isLiveCapture(file.capture)) {
    problems.push('runAfterReboot: it is for live capture methods only');
  }
  if (appliance.azure && appliance.azure.accountId !== account.id) {
    problems.push(`appliance: ${appliance.name} belongs to another account than ${account.name}`);
  }
  if (appliance.azure && !sameRegion(appliance.azure.region, file.region)) {
    problems.push(`region: the appliance ${appliance.name} is in ${appliance.azure.region}`);
  }
  if (master.applianceId !== appliance.id) {
    problems.push(`master: ${master.name} joined through another appliance than ${appliance.name}`);
  }
  const system = master.inventory.disks.flatMap((disk) => disk.volumes).filter((volume) => volume.system);
  for (const volume of system) {
    if (file.excludedVolumes.includes(volume.id)) {
      problems.push(`excludedVolumes: ${volume.id} holds the system and cannot be left out`);
    }
  }
  return problems;
}

async function resolveNics(
  cloud: Cloud,
  file: ScenarioFile,
  problems: string[],
): Promise<readonly ScenarioNic[]> {
  const [networks, groups] = await Promise.all([
    cloud.network.virtualNetworks(file.region),
    file.nics.some((nic) => nic.securityGroup) ? cloud.network.securityGroups(file.region) : [],
  ]);
  return file.nics.map((nic, index) => {
    const network = byKey(networks, nic.virtualNetwork);
    const group = nic.securityGroup ? byKey(groups, nic.securityGroup) : undefined;
    const subnet = network?.subnets.find((one) => same(one.name, nic.subnet));
    const where = `nics[${index}]`;
    if (!network)
      problems.push(`${where}.virtualNetwork: there is no ${nic.virtualNetwork} in ${file.region}`);
    else if (!subnet) problems.push(`${where}.subnet: ${network.name} has no subnet ${nic.subnet}`);
    if (nic.securityGroup && !group) {
      problems.push(`${where}.securityGroup: there is no ${nic.securityGroup} in ${file.region}`);
    }
    return resolvedNic(nic, network?.id ?? '', subnet?.name ?? nic.subnet, group?.id);
  });
}

/** Its subnet is looked at by a check, like everything that can change later. */
async function resolveDrill(
  cloud: Cloud,
  { drill: wanted, region }: ScenarioFile,
  base: Scenario | undefined,
  problems: string[],
): Promise<Scenario['drill']> {
  if (!wanted) return base?.drill;
  if ('askFrom' in wanted) return askedFrom(wanted, base, problems);
  const { virtualNetwork, subnet } = wanted;
  const network = byKey(await cloud.network.virtualNetworks(region), virtualNetwork);
  if (network) return { virtualNetworkId: network.id, subnetName: subnet };
  problems.push(`drill.virtualNetwork: there is no ${virtualNetwork} in ${region}`);
  return undefined;
}

/** The question for it knows nothing of a subnet, which stays. */
function askedFrom(wanted: DrillAskFrom, base: Scenario | undefined, problems: string[]): Scenario['drill'] {
  const subnet = base && drillSubnetOf(base);
  if (isNobody(wanted.askFrom)) return subnet;
  if (subnet) problems.push(`drill.askFrom: ${ASKED_IN_SUBNET}`);
  return wanted;
}

function resolvedNic(
  nic: ScenarioFileNic,
  virtualNetworkId: string,
  subnetName: string,
  networkSecurityGroupId: string | undefined,
): ScenarioNic {
  return {
    masterNicId: nic.master,
    virtualNetworkId,
    subnetName,
    address: same(nic.address, 'dynamic') ? { kind: 'dynamic' } : { kind: 'static', ip: nic.address },
    ...(nic.dnsServers ? { dnsServers: nic.dnsServers } : {}),
    ...(networkSecurityGroupId === undefined ? {} : { networkSecurityGroupId }),
    publicIp: nic.publicIp,
  };
}

/** By `<resource group>/<name>`, by id, or by the name alone as long as no other has it. */
function byKey<Item extends { readonly id: string; readonly name: string }>(
  items: readonly Item[],
  key: string,
): Item | undefined {
  const exact = items.find((item) => same(resourceKey(item), key) || same(item.id, key));
  if (exact) return exact;
  const named = items.filter((item) => same(item.name, key));
  return named.length === 1 ? named[0] : undefined;
}

function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

function unresolved(problems: readonly string[]) {
  return inputError(
    'SCENARIO_INVALID',
    `The scenario cannot be taken over: ${problems.length} ${problems.length === 1 ? 'thing is' : 'things are'} wrong.`,
    `Correct: ${problems.join('; ')}.`,
  );
}

/** The way back: a saved scenario in words that mean something elsewhere. */
export async function fileFromScenario(context: Context, scenario: Scenario): Promise<ScenarioFile> {
  const { store } = context;
  const [account, appliance, master] = await Promise.all([
    store.accounts.get(scenario.accountId),
    store.appliances.get(scenario.applianceId),
    store.masters.get(scenario.masterId),
  ]);
  return {
    standbyScenario: 1,
    name: scenario.name,
    purpose: scenario.purpose,
    serverType: scenario.serverType,
    productType: scenario.productType,
    replicaType: scenario.replicaType,
    switchoverMode: scenario.switchoverMode,
    account: account?.name ?? '(removed)',
    region: scenario.region,
    appliance: appliance?.name ?? '(removed)',
    master: master?.name ?? '(removed)',
    capture: scenario.capture,
    ...(scenario.runAfterReboot === false ? { runAfterReboot: false } : {}),
    excludedVolumes: scenario.excludedVolumeIds,
    vm: scenario.vm,
    nics: scenario.nics.map((nic) => ({
      master: nic.masterNicId,
      virtualNetwork: keyOfId(nic.virtualNetworkId),
      subnet: nic.subnetName,
      address: addressText(nic.address),
      ...(nic.dnsServers ? { dnsServers: nic.dnsServers } : {}),
      ...(nic.networkSecurityGroupId ? { securityGroup: keyOfId(nic.networkSecurityGroupId) } : {}),
      publicIp: nic.publicIp,
    })),
    ...drillOf(scenario),
    ...(scenario.drillSchedule === undefined ? {} : { drillSchedule: scenario.drillSchedule }),
    isAlive: scenario.isAlive,
    ...(scenario.scrubEveryHours === undefined ? {} : { scrubEveryHours: scenario.scrubEveryHours }),
    ...(scenario.rewind ? { rewind: scenario.rewind } : {}),
    healthChecks: scenario.healthChecks,
    ...(scenario.redirect ? { redirect: scenario.redirect } : {}),
    ...(scenario.scripts ? { scripts: scenario.scripts } : {}),
    ...(scenario.backup ? { backup: scenario.backup } : {}),
  };
}

function drillOf({ drill }: Scenario): Pick<ScenarioFile, 'drill'> {
  if (!drill) return {};
  if ('askFrom' in drill) return { drill };
  return { drill: { virtualNetwork: keyOfId(drill.virtualNetworkId), subnet: drill.subnetName } };
}

/** The key of a resource from its ARM id alone; the export works without a cloud. */
function keyOfId(id: string): string {
  return resourceKey({ id, name: id.split('/').at(-1) ?? '' });
}

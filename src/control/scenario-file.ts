import type { BackupSettings } from '../model/backup.ts';
import { type CaptureName, isLiveCapture } from '../model/capture.ts';
import type { MasterInventory } from '../model/disk.ts';
import type { DrillAskFrom } from '../model/drill-place.ts';
import { parseIp } from '../model/ip-range.ts';
import type { ScenarioRedirect, ScenarioScript } from '../model/redirect.ts';
import type {
  DiskType,
  HealthCheck,
  IsAliveSettings,
  RewindWindow,
  Scenario,
  ScenarioAddress,
} from '../model/scenario.ts';
import type { Answers } from '../ports/host.ts';
import type { RedirectKey } from './redirect-key.ts';
import { answersOfBackup, backupFromAnswers } from './scenario-backup-questions.ts';
import { answersOfDrill, drillFromAnswers } from './scenario-drill-questions.ts';
import { answersOfRedirect, redirectFromAnswers } from './scenario-redirect-questions.ts';
import { textOf } from './screen.ts';

/**
 * A scenario in words that mean something elsewhere too: names, no ids, no secrets. It is what the wizard's answers
 * say, what `scenario export` writes and what `scenario import` reads.
 */
export interface ScenarioFile {
  /** Version of this format. */
  readonly standbyScenario: 1;
  readonly name: string;
  readonly purpose: Scenario['purpose'];
  readonly serverType: Scenario['serverType'];
  readonly productType: Scenario['productType'];
  readonly replicaType: Scenario['replicaType'];
  readonly switchoverMode: Scenario['switchoverMode'];
  readonly account: string;
  readonly region: string;
  readonly appliance: string;
  readonly master: string;
  readonly capture: CaptureName;
  /** Live methods; true unless told. */
  readonly runAfterReboot?: boolean | undefined;
  readonly excludedVolumes: readonly string[];
  readonly vm: Scenario['vm'];
  readonly nics: readonly ScenarioFileNic[];
  /** An isolated subnet for drills, which no question asks for; or who may ask in the network that a drill makes. */
  readonly drill?: Pick<ScenarioFileNic, 'virtualNetwork' | 'subnet'> | DrillAskFrom | undefined;
  readonly drillSchedule?: string | undefined;
  readonly isAlive: IsAliveSettings;
  /** Live methods. */
  readonly scrubEveryHours?: number | undefined;
  readonly rewind?: RewindWindow | undefined;
  readonly healthChecks: readonly HealthCheck[];
  /** The key of DNS updates is not in it. */
  readonly redirect?: ScenarioRedirect;
  readonly scripts?: readonly ScenarioScript[];
  readonly backup?: BackupSettings;
}

export interface ScenarioFileNic {
  /** The master's NIC: `nic0`. */
  readonly master: string;
  /** `<resource group>/<name>`, or the name alone when no other has it. */
  readonly virtualNetwork: string;
  readonly subnet: string;
  /** `dynamic`, or an address of the subnet. */
  readonly address: string;
  /** Absent: those of the virtual network. */
  readonly dnsServers?: readonly string[];
  /** As `virtualNetwork`; absent: none on the NIC. */
  readonly securityGroup?: string;
  readonly publicIp: boolean;
}

/** Azure's largest sizes take 8 NICs and more; a master with more is told so by the size check. */
export const NICS_MAX = 8;

/** The name of a NIC's answer: `subnet` for the first NIC, `subnet1` for the second. */
export function nicAnswer(name: string, index: number): string {
  return index === 0 ? name : `${name}${index}`;
}

export function fileFromAnswers(
  answers: Answers,
  facts: {
    account: string;
    nicIds: readonly string[];
    redirectKey?: Pick<RedirectKey, 'name' | 'algorithm'> | undefined;
  },
): ScenarioFile {
  const zone = textOf(answers.zone);
  return {
    standbyScenario: 1,
    name: textOf(answers.name),
    purpose: answers.purpose as Scenario['purpose'],
    serverType: 'full-system',
    productType: 'high-availability',
    replicaType: 'azure',
    switchoverMode: 'manual',
    account: facts.account,
    region: textOf(answers.region),
    appliance: textOf(answers.appliance),
    master: textOf(answers.master),
    capture: answers.capture as CaptureName,
    ...(answers.runAfterReboot === false ? { runAfterReboot: false } : {}),
    excludedVolumes: (answers.excludedVolumes ?? []) as readonly string[],
    vm: {
      name: textOf(answers.vmName),
      size: textOf(answers.vmSize),
      resourceGroup: textOf(answers.resourceGroup),
      diskType: answers.diskType as DiskType,
      ...(zone && zone !== 'none' ? { zone } : {}),
      ...ladderFrom(answers),
    },
    nics: facts.nicIds.map((master, index) => nicFromAnswers(answers, master, index)),
    isAlive: { ping: answers.isAlivePing === true },
    healthChecks: healthChecksFrom(answers),
    ...drillFromAnswers(answers),
    ...redirectFromAnswers(answers, facts.redirectKey),
    ...backupFromAnswers(answers),
  };
}

function ladderFrom({ fallbackSizes, fallbackZones }: Answers): Partial<Scenario['vm']> {
  const given = (value: unknown) =>
    Array.isArray(value) && value.length > 0 ? value.map(String) : undefined;
  const [sizes, zones] = [given(fallbackSizes), given(fallbackZones)];
  return { ...(sizes ? { fallbackSizes: sizes } : {}), ...(zones ? { fallbackZones: zones } : {}) };
}

function nicFromAnswers(answers: Answers, master: string, index: number): ScenarioFileNic {
  const answer = (name: string): unknown => answers[nicAnswer(name, index)];
  const securityGroup = textOf(answer('securityGroup'));
  const dnsServers = dnsServersOf(textOf(answer('dnsServers')));
  return {
    master,
    virtualNetwork: textOf(answer('virtualNetwork')),
    subnet: textOf(answer('subnet')),
    address: textOf(answer('address')) || 'dynamic',
    ...(dnsServers ? { dnsServers } : {}),
    ...(securityGroup && securityGroup !== 'none' ? { securityGroup } : {}),
    publicIp: answer('publicIp') === true,
  };
}

/** What is asked for in place of addresses: the virtual network says who resolves names. */
export const OF_NETWORK = 'network';

export function dnsServersOf(text: string): readonly string[] | undefined {
  if (text === '' || text.toLowerCase() === OF_NETWORK) return undefined;
  return text.split(',').map((server) => server.trim());
}

/** A DNS server is an IPv4 address that means the same on the standby. */
export function dnsServerProblem(server: string): string | undefined {
  const number = parseIp(server);
  if (number === undefined) return `${server === '' ? 'An empty text' : server} is no IPv4 address.`;
  if (number >>> 24 === 0 || number >>> 24 === 127)
    return `${server} is no address of a DNS server in a network.`;
  return undefined;
}

function healthChecksFrom(answers: Answers): readonly HealthCheck[] {
  const port = Number(answers.healthPort);
  if (answers.healthCheck === 'tcp') return [{ kind: 'tcp', port }];
  if (answers.healthCheck !== 'http') return [];
  return [
    {
      kind: 'http',
      port,
      path: textOf(answers.healthPath) || '/',
      expectStatus: Number(answers.healthStatus ?? 200),
    },
  ];
}

/** The answers that would give this file: what `scenario edit` proposes. */
export function answersFromFile(file: ScenarioFile): Answers {
  const answers: Record<string, unknown> = {
    name: file.name,
    purpose: file.purpose,
    account: file.account,
    master: file.master,
    region: file.region,
    appliance: file.appliance,
    capture: file.capture,
    ...(isLiveCapture(file.capture) ? { runAfterReboot: file.runAfterReboot !== false } : {}),
    excludedVolumes: [...file.excludedVolumes],
    vmName: file.vm.name,
    vmSize: file.vm.size,
    resourceGroup: file.vm.resourceGroup,
    diskType: file.vm.diskType,
    fallbackSizes: [...(file.vm.fallbackSizes ?? [])],
    zone: file.vm.zone ?? 'none',
    ...(file.vm.fallbackZones ? { fallbackZones: [...file.vm.fallbackZones] } : {}),
    ...(file.purpose === 'dr' ? { isAlivePing: file.isAlive.ping } : {}),
    healthCheck: file.healthChecks[0]?.kind ?? 'none',
    ...answersOfDrill(file),
    ...answersOfRedirect(file),
    ...answersOfBackup(file),
  };
  file.nics.forEach((nic, index) => {
    for (const [name, value] of Object.entries(nic)) {
      if (name !== 'master') answers[nicAnswer(name, index)] = value;
    }
    answers[nicAnswer('securityGroup', index)] = nic.securityGroup ?? 'none';
    answers[nicAnswer('dnsServers', index)] = nic.dnsServers?.join(',') ?? OF_NETWORK;
  });
  const [health] = file.healthChecks;
  if (health) answers.healthPort = health.port;
  if (health?.kind === 'http')
    Object.assign(answers, { healthPath: health.path, healthStatus: health.expectStatus });
  return answers;
}

export function addressText(address: ScenarioAddress): string {
  return address.kind === 'static' ? address.ip : 'dynamic';
}

/** What a server without any NIC gets: one, because the standby must be reachable. */
export function nicIdsOf(inventory: Pick<MasterInventory, 'nics'>): readonly string[] {
  return inventory.nics.length > 0 ? inventory.nics.map((nic) => nic.id) : ['nic0'];
}

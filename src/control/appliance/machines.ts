import type { Account } from '../../model/account.ts';
import type { Appliance } from '../../model/appliance.ts';
import type { Cloud } from '../../ports/cloud.ts';
import type { CloudMachine } from '../../ports/cloud-machines.ts';
import { accountNamed } from '../account.ts';
import type { Context } from '../context.ts';

/** One VM of a region, to pick an appliance from (G-44, G-45). */
export interface RegionMachine {
  readonly name: string;
  readonly vmId: string;
  readonly resourceGroup: string;
  readonly region: string;
  readonly size: string;
  readonly zone?: string;
  readonly osType?: 'Linux' | 'Windows';
  /** `running`, `deallocated`, ...; looked up for appliances only. */
  readonly power?: string;
  readonly privateIp?: string;
  readonly publicIp?: string;
  /** `known`: in our records. `foreign`: carries the appliance's tag, but another control made it. */
  readonly appliance: 'known' | 'foreign' | 'no';
  readonly applianceName?: string;
}

export interface RegionMachines {
  readonly account: string;
  readonly region: string;
  readonly machines: readonly RegionMachine[];
  /** What to look at when no appliance is among them. */
  readonly hint?: string;
}

export async function listRegionMachines(
  context: Context,
  facts: { readonly account: string; readonly region: string },
): Promise<RegionMachines> {
  const account = await accountNamed(context, facts.account);
  const cloud = await context.cloudFor(account);
  const [found, records] = await Promise.all([
    cloud.machines.list(facts.region),
    context.store.appliances.list(),
  ]);
  const machines = await Promise.all(found.map((machine) => describe(cloud, machine, records)));
  machines.sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  const hint = hintFor(machines, facts.region, account);
  return { account: account.name, region: facts.region, machines, ...(hint ? { hint } : {}) };
}

function rank(machine: RegionMachine): number {
  return ['known', 'foreign', 'no'].indexOf(machine.appliance);
}

async function describe(
  cloud: Cloud,
  machine: CloudMachine,
  records: readonly Appliance[],
): Promise<RegionMachine> {
  const record = records.find((one) => one.azure?.vmId.toLowerCase() === machine.id.toLowerCase());
  const tagged = machine.tags['standby-role'] === 'appliance';
  const plain: RegionMachine = {
    name: machine.name,
    vmId: machine.id,
    resourceGroup: machine.resourceGroup,
    region: machine.location,
    size: machine.size,
    ...(machine.zone ? { zone: machine.zone } : {}),
    ...(machine.osType ? { osType: machine.osType } : {}),
    appliance: record ? 'known' : tagged ? 'foreign' : 'no',
    ...(record ? { applianceName: record.name } : {}),
  };
  if (plain.appliance === 'no') return plain;
  // Power and addresses cost three more calls each: asked only for the few that matter here.
  const [instance, addresses] = await Promise.all([
    cloud.machines.instance(machine.id),
    addressesOf(cloud, machine),
  ]);
  return { ...plain, ...(instance?.power ? { power: instance.power } : {}), ...addresses };
}

async function addressesOf(
  cloud: Cloud,
  machine: CloudMachine,
): Promise<Pick<RegionMachine, 'privateIp' | 'publicIp'>> {
  const nicId = machine.nicIds[0];
  const nic = nicId ? await cloud.network.networkInterface(nicId) : undefined;
  const publicIp = nic?.publicIpId ? await cloud.network.publicIp(nic.publicIpId) : undefined;
  return {
    ...(nic?.privateIp ? { privateIp: nic.privateIp } : {}),
    ...(publicIp?.address ? { publicIp: publicIp.address } : {}),
  };
}

function hintFor(machines: readonly RegionMachine[], region: string, account: Account): string | undefined {
  if (machines.length === 0) {
    return (
      `No virtual machine is visible in ${region} through ${account.name}. Is it the right region and subscription? ` +
      `Does the app have a role that may read virtual machines (standby account verify ${account.name})? ` +
      'To make an appliance: standby appliance deploy'
    );
  }
  if (machines.every((machine) => machine.appliance === 'no')) {
    return `None of these is an appliance. To make one in ${region}: standby appliance deploy`;
  }
  const stopped = machines.filter((one) => one.appliance === 'known' && one.power !== 'running');
  if (stopped.length === 0) return undefined;
  const names = stopped.map((one) => `${one.name} (${one.power ?? 'state unknown'})`).join(', ');
  return `Not running: ${names}. An appliance must run to receive changes; start it in the Azure portal.`;
}

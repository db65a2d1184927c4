import { ArmError } from '../arm/arm-error.ts';
import { type ArmContext, quotaLimit, type Resource } from '../arm/behaviour.ts';
import { textAt } from '../arm/json.ts';
import { sameId } from '../arm/resource-id.ts';
import { CORES_LIMIT, FAMILY_CORES_LIMIT, findSize, MACHINES_LIMIT, type VmSize } from '../sizes.ts';
import { TYPES } from './references.ts';

/** vCPUs and VMs a region's quota is used up by; Azure counts deallocated VMs too. */
export interface CoreUse {
  readonly cores: number;
  readonly machines: number;
  readonly byFamily: ReadonlyMap<string, number>;
}

export function coreUse(context: ArmContext, location: string, except?: string): CoreUse {
  const byFamily = new Map<string, number>();
  let cores = 0;
  let machines = 0;
  for (const machine of context.graph.list(TYPES.machine, { location })) {
    if (sameId(machine.id, except)) continue;
    const size = findSize(textAt(machine.properties, 'hardwareProfile.vmSize') ?? '', location);
    machines += 1;
    if (size === undefined) continue;
    cores += size.vCpus;
    byFamily.set(size.family, (byFamily.get(size.family) ?? 0) + size.vCpus);
  }
  return { cores, machines, byFamily };
}

function exceeded(what: string, location: string, limit: number, used: number, wanted: number): ArmError {
  return new ArmError(
    409,
    'OperationNotAllowed',
    `Operation could not be completed as it results in exceeding approved ${what} quota. Additional details - ` +
      `Deployment Model: Resource Manager, Location: ${location}, Current Limit: ${limit}, Current Usage: ${used}, ` +
      `Additional Required: ${wanted}, (Minimum) New Limit Required: ${used + wanted}. Setup Alerts when Quota reaches ` +
      'threshold. Learn more at https://aka.ms/quotamonitoringalerting . Submit a request for Quota increase at ' +
      'https://aka.ms/ProdportalCRP/#blade/Microsoft_Azure_Capacity/UsageAndQuota.ReactView by specifying parameters ' +
      'listed in the ‘Details’ section for deployment to succeed. Please read more about quota limits at ' +
      'https://docs.microsoft.com/en-us/azure/azure-supportability/regional-quota-requests',
  );
}

export function checkMachineQuota(context: ArmContext, machine: Resource, size: VmSize): void {
  const location = machine.location ?? '';
  const used = coreUse(context, location, machine.id);
  const limit = (name: string, usual: number) => quotaLimit(context.settings, location, name, usual);
  const cores = limit('cores', CORES_LIMIT);
  if (used.cores + size.vCpus > cores) {
    throw exceeded('Total Regional Cores', location, cores, used.cores, size.vCpus);
  }
  const family = limit(size.family, FAMILY_CORES_LIMIT);
  const familyUsed = used.byFamily.get(size.family) ?? 0;
  if (familyUsed + size.vCpus > family) {
    throw exceeded(`${size.family} Cores`, location, family, familyUsed, size.vCpus);
  }
  const machines = limit('virtualMachines', MACHINES_LIMIT);
  if (used.machines + 1 > machines) {
    throw exceeded('virtualMachines', location, machines, used.machines, 1);
  }
}

import type { StepContext } from '../plan/plan.ts';
import type { Blueprint } from './blueprint.ts';
import { createNetworkInterfaceId, type MadeNic } from './steps/create-network-interface.ts';
import { createPublicIpId, type MadePublicIp } from './steps/create-public-ip.ts';
import type { NicAddresses } from './steps/prove-boot.ts';

/** Addresses of the first NIC, as this run's steps made them. */
export function addressesOf(blueprint: Blueprint, context: StepContext): NicAddresses | undefined {
  const primary = blueprint.nics[0];
  if (!primary) return undefined;
  const { masterNicId } = primary.nic;
  const { privateIp } = context.output<MadeNic>(createNetworkInterfaceId(masterNicId));
  const publicIp = primary.publicIpName
    ? context.output<MadePublicIp>(createPublicIpId(masterNicId)).address
    : undefined;
  return { masterNicId, ...(privateIp ? { privateIp } : {}), ...(publicIp ? { publicIp } : {}) };
}

/** Where control reaches the VM that this run's steps made. */
export function reachedAt(blueprint: Blueprint, context: StepContext): string | undefined {
  const { publicIp, privateIp } = addressesOf(blueprint, context) ?? {};
  return publicIp ?? privateIp;
}

import { ArmError } from '../arm/arm-error.ts';
import type { ArmContext, Resource } from '../arm/behaviour.ts';
import { isObject } from '../arm/json.ts';
import { parentIdOf, parseResourceId } from '../arm/resource-id.ts';

/** How resources name one another, and what Azure says when the named one is not there. */
export const TYPES = {
  machine: 'Microsoft.Compute/virtualMachines',
  disk: 'Microsoft.Compute/disks',
  snapshot: 'Microsoft.Compute/snapshots',
  network: 'Microsoft.Network/virtualNetworks',
  subnet: 'Microsoft.Network/virtualNetworks/subnets',
  nic: 'Microsoft.Network/networkInterfaces',
  publicIp: 'Microsoft.Network/publicIPAddresses',
  securityGroup: 'Microsoft.Network/networkSecurityGroups',
  securityRule: 'Microsoft.Network/networkSecurityGroups/securityRules',
} as const;

/** The network provider's answer to a missing or far-away reference. */
export function requireReference(context: ArmContext, from: Resource, id: string, type: string): Resource {
  const found = context.graph.get(id);
  const location = found === undefined ? undefined : locationOf(context, found);
  const right = parseResourceId(id)?.type.toLowerCase() === type.toLowerCase();
  if (found !== undefined && right && found.provisioningState !== 'Deleting' && location === from.location) {
    return found;
  }
  throw new ArmError(
    400,
    'InvalidResourceReference',
    `Resource ${id} referenced by resource ${from.id} was not found. Please make sure that the referenced ` +
      'resource exists, and that both resources are in the same region.',
  );
}

/** A nested type lies where its parent lies. */
export function locationOf(context: ArmContext, resource: Resource): string | undefined {
  if (resource.location !== undefined) return resource.location;
  const parentId = parentIdOf(resource.id);
  return parentId === undefined ? undefined : context.graph.get(parentId)?.location;
}

/** The disk provider looks a source up in the target's region only, and says no more than this. */
export function diskNotFound(id: string): ArmError {
  return new ArmError(404, 'NotFound', `Resource ${parseResourceId(id)?.name ?? id} is not found.`);
}

export function requiredMissing(path: string): ArmError {
  return new ArmError(400, 'InvalidParameter', `Required parameter '${path}' is missing (null).`, path);
}

export function notChangeable(path: string): ArmError {
  return new ArmError(409, 'PropertyChangeNotAllowed', `Changing property '${path}' is not allowed.`, path);
}

/** Azure takes enumerated words in any case and shows its own spelling. */
export function spelledOption<T extends string>(given: string, words: readonly T[]): T | undefined {
  return words.find((word) => word.toLowerCase() === given.toLowerCase());
}

/** `{id}` of a sub-resource field. */
export function idOf(value: unknown): string | undefined {
  return isObject(value) && typeof value.id === 'string' ? value.id : undefined;
}

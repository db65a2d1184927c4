import { inputError } from '../../src/errors.ts';

/** `/subscriptions/<s>/resourceGroups/<g>/providers/<namespace>/<type>/<name>`; case does not matter to Azure. */
export interface ArmId {
  readonly id: string;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  /** `Microsoft.Compute/disks` as written in the id. */
  readonly type: string;
  readonly name: string;
}

const ARM_ID = /^\/+subscriptions\/([^/]+)\/resourcegroups\/([^/]+)\/providers\/([^/]+\/[^/]+)\/([^/]+)$/i;

export function parseArmId(id: string): ArmId {
  const match = ARM_ID.exec(id);
  if (!match) {
    throw inputError('ARM_ID_WRONG', `"${id}" is not the id of an Azure resource.`, 'Give a full ARM id.');
  }
  const [, subscriptionId = '', resourceGroup = '', type = '', name = ''] = match;
  return { id, subscriptionId, resourceGroup, type, name };
}

export function resourceGroupOf(id: string | undefined): string {
  return /\/resourcegroups\/([^/]+)/i.exec(id ?? '')?.[1] ?? '';
}

export function sameId(left: string | undefined, right: string | undefined): boolean {
  return left !== undefined && right !== undefined && left.toLowerCase() === right.toLowerCase();
}

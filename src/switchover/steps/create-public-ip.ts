/**
 * Promises the public address of one NIC: standard, static, known before the VM boots. Found or asked for again
 * after a crash. Undo deletes it.
 */
import type { Step } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import {
  type Blueprint,
  idInGroup,
  type NicPart,
  RESOURCE_TYPES,
  scenarioTag,
  tagsFor,
} from '../blueprint.ts';
import { assertOurs, CLOUD_RETRY, durably } from '../durably.ts';
import type { Work } from '../work.ts';

export const createPublicIpId = (nicId: string) => `create-public-ip-${nicId}`;

export interface MadePublicIp {
  readonly publicIpId: string;
  readonly address?: string;
}

/** Of every NIC that has one. */
export function createPublicIpSteps(work: Work, { nics }: Blueprint): Step<MadePublicIp>[] {
  return nics.flatMap((part) =>
    part.publicIpName ? [createPublicIpStep(work, part, part.publicIpName)] : [],
  );
}

function createPublicIpStep(work: Work, part: NicPart, name: string): Step<MadePublicIp> {
  const { cloud, scenario } = work;
  const { resourceGroup, fallbackZones = [] } = scenario.vm;
  // An address of one zone serves no VM of another; one without a zone serves all.
  const zone = fallbackZones.length > 0 ? undefined : scenario.vm.zone;
  const look = async () => {
    const id = await idInGroup(work, RESOURCE_TYPES.publicIp, name);
    return id === undefined ? undefined : cloud.network.publicIp(id);
  };
  return {
    id: createPublicIpId(part.nic.masterNicId),
    title: `Public address of ${part.nic.masterNicId}`,
    actions: actionsOf('groups.get', 'network.publicIp', 'network.createPublicIp', 'network.deletePublicIp'),
    makes: [{ type: RESOURCE_TYPES.publicIp, name }],
    retry: CLOUD_RETRY,
    async find() {
      const made = await look();
      if (!made) return undefined;
      assertOurs(work, made);
      return made.address ? { publicIpId: made.id, address: made.address } : undefined;
    },
    async run(context) {
      const made = await durably(context, (operation) =>
        cloud.network.createPublicIp(
          {
            resourceGroup,
            name,
            location: scenario.region,
            ...(zone ? { zone } : {}),
            tags: tagsFor(work, 'standby-public-ip'),
          },
          operation,
        ),
      );
      return { publicIpId: made.id, ...(made.address ? { address: made.address } : {}) };
    },
    async undo(context) {
      const made = await look();
      if (made) await cloud.network.deletePublicIp(made.id, scenarioTag(work), { signal: context.signal });
    },
  };
}

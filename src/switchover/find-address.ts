import type { NicAddresses } from './steps/prove-boot.ts';
import type { Work } from './work.ts';

/** Where control reaches a standby VM that exists: its primary NIC's public address, else its private one. Only reads. */
export async function findAddress(work: Work, vmId: string): Promise<string | undefined> {
  const [primary] = await findAddresses(work, vmId);
  return primary?.publicIp ?? primary?.privateIp;
}

/** Every NIC's addresses, the primary first. A NIC that no NIC of the scenario stands for goes by its own name. */
export async function findAddresses(work: Work, vmId: string): Promise<readonly NicAddresses[]> {
  const { network, machines } = work.cloud;
  const nicIds = (await machines.get(vmId))?.nicIds ?? [];
  return Promise.all(
    nicIds.map(async (nicId) => {
      const nic = await network.networkInterface(nicId);
      const publicIp = nic?.publicIpId === undefined ? undefined : await network.publicIp(nic.publicIpId);
      return {
        masterNicId: nicOfMaster(work, nicId.split('/').at(-1) ?? nicId),
        ...(nic?.privateIp ? { privateIp: nic.privateIp } : {}),
        ...(publicIp?.address ? { publicIp: publicIp.address } : {}),
      };
    }),
  );
}

/** Our names hold the master's NIC (model/names.ts). */
function nicOfMaster({ scenario }: Work, name: string): string {
  const ours = scenario.nics.find((nic) => name.includes(`-nic-${nic.masterNicId}-`));
  return ours?.masterNicId ?? name;
}

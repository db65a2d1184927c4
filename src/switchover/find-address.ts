/** Where control reaches a standby VM that exists: its primary NIC's public address, else its private one. Only reads. */
import type { Work } from './work.ts';

export async function findAddress(work: Work, vmId: string): Promise<string | undefined> {
  const { network, machines } = work.cloud;
  const nicId = (await machines.get(vmId))?.nicIds[0];
  const nic = nicId === undefined ? undefined : await network.networkInterface(nicId);
  const publicIp = nic?.publicIpId === undefined ? undefined : await network.publicIp(nic.publicIpId);
  return publicIp?.address ?? nic?.privateIp;
}

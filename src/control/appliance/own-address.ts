import { createSocket } from 'node:dgram';
import { kindOfIp } from '../../model/ip-range.ts';

/**
 * Under which address the appliance sees this machine, when that can be known without asking a third party:
 * a loopback or public address of our own is seen as it is, and a private one is seen as it is only by a private
 * one (VPN, peering). Behind address translation the answer is undefined, never a guess.
 */
export async function ownAddressTowards(address: string): Promise<string | undefined> {
  const target = kindOfIp(address);
  if (target === undefined) return undefined;
  const own = await localAddressTowards(address);
  if (own === undefined) return undefined;
  const kind = kindOfIp(own);
  if (kind === 'public' || kind === target) return own;
  return undefined;
}

/** The source address the routing table chooses; "connecting" a datagram socket sends nothing. */
async function localAddressTowards(address: string): Promise<string | undefined> {
  const socket = createSocket('udp4');
  try {
    return await new Promise<string | undefined>((resolve) => {
      // No route to it: then we are seen under no address at all.
      socket.once('error', () => resolve(undefined));
      socket.connect(9, address, () => resolve(socket.address().address));
    });
  } finally {
    socket.close();
  }
}

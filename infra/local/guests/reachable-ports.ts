import { admittedRanges, decideInbound, type Filter } from '../network/security.ts';

/**
 * Which ports of a public IP are worth a listener: those that a rule names (single ports and ranges up to 64 ports),
 * and of `*` and bigger ranges the well-known ones below. Of these, only ports that a peer on this machine could
 * really use under the rules as they are.
 */
export const WELL_KNOWN_PORTS: readonly number[] = [
  22, 25, 53, 80, 110, 143, 443, 445, 993, 995, 1433, 1521, 3000, 3306, 3389, 5000, 5432, 5985, 5986, 6379,
  8000, 8080, 8081, 8443, 8888, 9000, 9090, 25000, 27017,
];
const RANGE_MAX = 64;

/** Who can knock on a loopback address: this machine itself, which stands for the Internet here. */
const OWN_ADDRESS = '127.0.0.1';

export function reachablePorts(filter: Filter, privateIp: string): readonly number[] {
  const candidates = new Set<number>();
  for (const { from, to } of admittedRanges(filter)) {
    if (to - from < RANGE_MAX) {
      for (let port = Math.max(1, from); port <= to; port += 1) candidates.add(port);
    } else {
      for (const port of WELL_KNOWN_PORTS) if (port >= from && port <= to) candidates.add(port);
    }
  }
  return [...candidates].filter((port) => isAdmitted(filter, OWN_ADDRESS, undefined, privateIp, port));
}

/** The decision for one connection; with an unknown source port, one that every rule on source ports lets through. */
export function isAdmitted(
  filter: Filter,
  sourceAddress: string,
  sourcePort: number | undefined,
  privateIp: string,
  port: number,
): boolean {
  return decideInbound(filter, {
    protocol: 'Tcp',
    sourceAddress,
    sourcePort: sourcePort ?? 50_000,
    destinationAddress: privateIp,
    destinationPort: port,
  }).allowed;
}

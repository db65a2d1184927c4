import { kindOfIp, parseIp, parseIpRange } from './ip-range.ts';
import type { HealthCheck } from './scenario.ts';

/** Where a drill is held. Without either it makes a network of its own in which nobody can be asked anything. */
export type DrillPlace = DrillSubnet | DrillAskFrom;

/** A subnet that lets nothing leave, and that control reaches. */
export interface DrillSubnet {
  readonly virtualNetworkId: string;
  readonly subnetName: string;
}

/** In the network that a drill makes for itself, the health checks may be asked from this address or prefix alone. */
export interface DrillAskFrom {
  readonly askFrom: string;
}

/** What the security group of a drill's own network lets in. */
export interface DrillAdmission {
  readonly from: string;
  readonly ports: readonly number[];
}

interface Drilled {
  readonly drill?: DrillPlace;
  readonly healthChecks: readonly HealthCheck[];
}

export function drillSubnetOf({ drill }: Pick<Drilled, 'drill'>): DrillSubnet | undefined {
  return drill && 'subnetName' in drill ? drill : undefined;
}

/** Undefined: nothing enters. */
export function admittedTo({ drill, healthChecks }: Drilled): DrillAdmission | undefined {
  if (!drill || !('askFrom' in drill) || healthChecks.length === 0) return undefined;
  return { from: drill.askFrom, ports: [...new Set(healthChecks.map((one) => one.port))] };
}

export function admissionText({ from, ports }: DrillAdmission): string {
  return `TCP ${ports.join(', ')} from ${from}`;
}

export const ASKED_IN_SUBNET =
  'the scenario names a subnet for drills, and there its health checks are asked at the private address';

/** A /16: what asks is one machine, or a site's way out; and what is asked is a copy of a real server. */
export const ASK_FROM_ADDRESSES_MAX = 2 ** 16;

/** As Azure takes it for a rule, narrow, and such that it can arrive at a public address. */
export function askFromProblem(text: string): string | undefined {
  const range = parseIpRange(text);
  const [address = ''] = text.trim().split('/');
  if (!range) return 'This is neither an IPv4 address (203.0.113.5) nor a prefix (203.0.113.0/28).';
  if (range.last - range.first >= ASK_FROM_ADDRESSES_MAX)
    return 'That is too wide: a copy of the server answers there. A /16 is the widest; the address of this machine is best.';
  if (parseIp(address) !== range.first) return 'A prefix begins with its own first address: 203.0.113.0/28.';
  if (kindOfIp(address) === 'private')
    return 'A private address never arrives at the public address that a drill is asked at. Give the public one behind which this machine is.';
  return undefined;
}

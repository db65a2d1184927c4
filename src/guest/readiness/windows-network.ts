import type { Verdict } from '../../model/verdict.ts';
import type { Hive, HiveKey } from '../hive.ts';
import { broken, doubtful, good, told } from './fact.ts';
import { startText } from './windows-drivers.ts';
import type { ControlSet } from './windows-hive.ts';

/** Whether the standby gets its address, and whether somebody can log in. */
export const AUTOMATIC = 2;

/** The control sets in which the DHCP client does not start by itself. */
export function withoutDhcp(hive: Hive, sets: readonly ControlSet[]) {
  return sets.flatMap(({ name, key }) => {
    const start = hive.number(hive.key('Services\\Dhcp', key), 'Start');
    return start === AUTOMATIC ? [] : [{ name, start, found: `${name}: ${startText(start)}` }];
  });
}

export function dhcpVerdict(hive: Hive, sets: readonly ControlSet[]): Verdict {
  const wrong = withoutDhcp(hive, sets);
  if (wrong.length === 0) return good('DHCP_SERVICE', DHCP, '2 (automatic)');
  return broken('DHCP_SERVICE', DHCP, {
    found: wrong.map(({ found }) => found).join('; '),
    expected: '2 (automatic): a VM in Azure gets its address by DHCP',
    cure: wrong
      .map(({ name }) => `reg add HKLM\\SYSTEM\\${name}\\Services\\Dhcp /v Start /t REG_DWORD /d 2 /f`)
      .join(' & '),
  });
}

const DHCP = 'DHCP client';
const STATIC = 'Addresses of NICs';

export const INTERFACES = 'Services\\Tcpip\\Parameters\\Interfaces';

/** The NICs whose address stands inside the server. */
export function fixedAddresses(hive: Hive, set: ControlSet) {
  const interfaces = hive.key(INTERFACES, set.key);
  return (interfaces ? hive.subkeys(interfaces) : []).flatMap((one) => {
    const addresses = hive.texts(one, 'IPAddress').filter((address) => address !== '0.0.0.0');
    return hive.number(one, 'EnableDHCP') === 0 && addresses.length > 0
      ? [{ name: one.name, addresses: addresses.join(', ') }]
      : [];
  });
}

export function staticAddressVerdict(hive: Hive, set: ControlSet): Verdict {
  const fixed = fixedAddresses(hive, set);
  if (fixed.length === 0) return good('STATIC_ADDRESS', STATIC, 'by DHCP');
  return doubtful('STATIC_ADDRESS', STATIC, {
    found: fixed.map(({ name, addresses }) => `${addresses} is fixed (${name})`).join('; '),
    expected: 'DHCP: the address is given to the NIC in Azure, not inside the server',
    cure:
      'The standby has a new NIC and takes its address from Azure; give the scenario that address. ' +
      'Where the master may change: netsh interface ipv4 set address name=NIC source=dhcp',
  });
}

const NETWORK_CLASS = 'Control\\Class\\{4d36e972-e325-11ce-bfc1-08002be10318}';
/** The adapter that stands for several others: of a team, or of a bridge. Its class keeps no key of one that is gone. */
const MULTIPLEXOR = /^compositebus\\ms_implat_mp$/i;

export function teamVerdicts(hive: Hive, set: ControlSet): Verdict[] {
  const adapters = hive.key(NETWORK_CLASS, set.key);
  const isTeam = (adapter: HiveKey) =>
    ['ComponentId', 'MatchingDeviceId'].some((name) => MULTIPLEXOR.test(hive.text(adapter, name) ?? ''));
  const teams = (adapters ? hive.subkeys(adapters) : []).filter(
    // Beside the adapters stands a key that not even Windows lets everybody read.
    (adapter) => /^\d{4}$/.test(adapter.name) && isTeam(adapter),
  );
  if (teams.length === 0) return [];
  const names = teams.map(
    (adapter) => hive.text(adapter, 'DriverDesc') ?? 'Microsoft Network Adapter Multiplexor Driver',
  );
  return [
    doubtful('NIC_TEAM', 'NICs that work as one', {
      found: `a team or bridge: ${names.join(', ')}`,
      expected: 'single NICs: the standby has a NIC of its own in Azure, which is in no team',
      cure: 'Nothing, for its address: the new NIC gets it by DHCP. What is bound to the team is to be changed on the standby.',
    }),
  ];
}

export function remoteVerdicts(hive: Hive, set: ControlSet): Verdict[] {
  const denied = hive.number(hive.key('Control\\Terminal Server', set.key), 'fDenyTSConnections');
  const policy = hive.key('Services\\SharedAccess\\Parameters\\FirewallPolicy', set.key);
  const profiles = ['DomainProfile', 'StandardProfile', 'PublicProfile'].map((name) => {
    const on = policy && hive.number(hive.key(name, policy), 'EnableFirewall');
    return `${name.replace('Profile', '')} ${on === undefined ? 'unknown' : on === 0 ? 'off' : 'on'}`;
  });
  return [
    told('REMOTE_DESKTOP', 'Remote Desktop', denied === 0 ? 'allowed' : 'not allowed'),
    told('FIREWALL', 'Windows firewall', profiles.join(', ')),
  ];
}

import type { Verdict } from '../../model/verdict.ts';
import { type FileTree, textOf } from '../file-tree.ts';
import type { Hive } from '../hive.ts';
import { doubtful, told } from './fact.ts';
import type { ControlSet } from './windows-hive.ts';

/** What a server knows of the network of its master and takes along, where it may lead nowhere. */
const PARAMETERS = 'Services\\Tcpip\\Parameters';
const SHOWN_MAX = 20;
const FILES_MAX = 200;

export async function windowsLeftBehind(hive: Hive, set: ControlSet, tree: FileTree): Promise<Verdict[]> {
  const parameters = hive.key(PARAMETERS, set.key);
  const suffixes = ['NV Domain', 'SearchList'].flatMap((name) => hive.text(parameters, name) || []);
  const routes = hive.key(`${PARAMETERS}\\PersistentRoutes`, set.key);
  const lines = routes ? hive.values(routes).map(({ name }) => name) : [];
  return [
    hostsFact(await textOf(tree, 'Windows/System32/drivers/etc/hosts')),
    told('DNS_SUFFIX', 'DNS suffixes', suffixes.join(', ') || 'none'),
    ...routesVerdict(lines, 'route delete DESTINATION on the standby'),
  ];
}

export async function linuxLeftBehind(root: FileTree): Promise<Verdict[]> {
  const resolver = (await textOf(root, 'etc/resolv.conf')) ?? '';
  const suffixes = [...resolver.matchAll(/^(?:search|domain)\s+(.+)$/gm)].map(([, names]) => names ?? '');
  const [routes, bonds] = await configured(root);
  return [
    hostsFact(await textOf(root, 'etc/hosts')),
    told('DNS_SUFFIX', 'DNS suffixes', suffixes.join(' ') || 'none'),
    ...routesVerdict(routes, 'Take them out of these files on the standby'),
    ...(bonds.length === 0
      ? []
      : [
          doubtful('NIC_TEAM', 'NICs that work as one', {
            found: `a bond or team in ${bonds.join(', ')}`,
            expected:
              'single NICs: each has an address of its own in Azure, and the master’s NICs do not follow',
            cure: 'Give eth0 its address by DHCP beside it, in the network configuration of the master.',
          }),
        ]),
  ];
}

/** In configurations that Linux reads by itself: the files with routes, and those with bonds. */
async function configured(root: FileTree): Promise<[string[], string[]]> {
  const kinds: readonly (readonly [string, RegExp, RegExp])[] = [
    ['etc/network', /^\s*(?:up|post-up)\s+(?:ip\s+)?route\s+add/m, /^\s*bond-(?:slaves|mode)\s/m],
    [
      'etc/network/interfaces.d',
      /^\s*(?:up|post-up)\s+(?:ip\s+)?route\s+add/m,
      /^\s*bond-(?:slaves|mode)\s/m,
    ],
    ['etc/netplan', /^\s+routes:/m, /^\s+bonds:/m],
    [
      'etc/sysconfig/network-scripts',
      /^(?:ADDRESS\d|[\d.]+\/\d+ via|default via)/m,
      /^(?:BONDING_OPTS|TEAM_CONFIG)=/m,
    ],
    ['etc/NetworkManager/system-connections', /^route\d+=/m, /^type=(?:bond|team)$/m],
    ['etc/systemd/network', /^\[Route\]/m, /^Kind=(?:bond|team)$/m],
  ];
  const routes: string[] = [];
  const bonds: string[] = [];
  for (const [folder, isRoute, isBond] of kinds) {
    for (const name of ((await root.list(folder)) ?? []).slice(0, FILES_MAX)) {
      const path = `${folder}/${name}`;
      if ((await root.find(path))?.kind !== 'file') continue;
      const text = ((await textOf(root, path)) ?? '').replace(/^\s*#.*$/gm, '');
      if (isRoute.test(text)) routes.push(path);
      if (isBond.test(text)) bonds.push(path);
    }
  }
  return [routes, bonds];
}

function hostsFact(text: string | undefined): Verdict {
  const own = (text ?? '')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim().split(/\s+/))
    .filter(([address, name]) => name !== undefined && !/^(?:127\.|::1$|f[ef]0[02]::)/i.test(address ?? ''))
    .map(([address, name]) => `${name} = ${address}`);
  const shown = own.slice(0, SHOWN_MAX).join(', ');
  const more = own.length > SHOWN_MAX ? ` and ${own.length - SHOWN_MAX} more` : '';
  return told(
    'HOSTS_FILE',
    'Addresses in the hosts file',
    shown ? `${shown}${more}` : 'none of other machines',
  );
}

function routesVerdict(lines: readonly string[], cure: string): Verdict[] {
  if (lines.length === 0) return [];
  return [
    doubtful('ROUTES', 'Routes of its own', {
      found: lines.slice(0, SHOWN_MAX).join('; '),
      expected: 'none: they lead through gateways of the master’s network, which Azure does not have',
      cure: `${cure}; a route table of its subnet leads where the way is still needed.`,
    }),
  ];
}

import type { RolePermissions } from '../../ports/cloud.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import {
  type Check,
  type CheckFacts,
  doubtful,
  error,
  type Finding,
  ok,
  skipped,
  unseen,
  warning,
  wrong,
} from '../check.ts';
import { permits } from '../permitted.ts';
import { isForbidden, placesOf, scopesOf } from '../scopes.ts';

/** Each action that the plans of this scenario need is allowed where they need it, and so is looking (G-60). */
export const permissions: Check = {
  id: 'permissions',
  title: 'Permissions',
  group: 'Identity',
  uses: ['access.permissions', 'access.denials', 'groups.get'],
  codes: {
    ACTION_MISSING: error(
      'No role of the application allows an action that the run, the switchover or the removal needs.',
      'Give it the role of `standby account role --print`, or the built-in role that is named, on the scope that is named.',
    ),
    ACTION_DENIED: error(
      'A deny assignment takes away an action that a role gives.',
      'Ask its owner (often a managed application or a blueprint) for an exception, or use another resource group.',
    ),
    LOOK_NOT_ALLOWED: warning(
      'An action is missing that only the checks need; they cannot see something.',
      'Give the application the role of `standby account role --print`, or accept that those checks are skipped.',
    ),
    PERMISSIONS_UNKNOWN: unseen(
      'Nothing tells which subscription the scenario is in.',
      '`standby account list`.',
    ),
  },
  async run(facts): Promise<readonly Finding[]> {
    const scopes = await scopesOf(facts);
    if (!scopes) return [skipped('PERMISSIONS_UNKNOWN', 'the subscription of the account is not known')];
    const needed = facts.actions ?? [];
    const looks =
      facts.moment === 'switchover' ? [] : facts.looks.filter((action) => !needed.includes(action));
    const places = new Map<string, Asked>();
    for (const [kind, actions] of [['needed', needed] as const, ['looks', looks] as const]) {
      for (const action of actions) {
        for (const scope of placesOf(action, scopes)) {
          const asked = places.get(scope) ?? { scope, needed: [], looks: [] };
          asked[kind].push(action);
          places.set(scope, asked);
        }
      }
    }
    const judged = await Promise.all([...places.values()].map((asked) => judge(asked, facts)));
    const secret = judged.indexOf('unreadable');
    const findings = judged.flatMap((one) => (one === 'unreadable' ? [] : one));
    if (secret >= 0) findings.push(cannotLook(READ, [...places.keys()][secret] ?? '', facts));
    if (findings.length > 0) return findings;
    if (facts.actions === undefined)
      return [skipped('PERMISSIONS_UNKNOWN', 'what the plans need is not known')];
    return [ok('PERMISSIONS_OK', `${needed.length} actions are allowed on ${places.size} scopes`)];
  },
};

interface Asked {
  readonly scope: string;
  readonly needed: string[];
  readonly looks: string[];
}

async function judge(asked: Asked, facts: CheckFacts): Promise<Finding[] | 'unreadable'> {
  const { scope } = asked;
  const roles = await rolesAt(scope, facts);
  if (roles === undefined) return 'unreadable';
  const denials = await denialsAt(scope, facts);
  const missing = asked.needed.filter((action) => !permits(roles, action));
  const denied = asked.needed.filter((action) => permits(roles, action) && !permits(roles, action, denials));
  const blind = asked.looks.filter((action) => !permits(roles, action, denials));
  return [
    ...(missing.length > 0 ? [notAllowed(missing, scope, facts)] : []),
    ...(denied.length > 0 ? [takenAway(denied, scope, denials)] : []),
    ...(blind.length > 0 ? [cannotLook(blind, scope, facts)] : []),
  ];
}

const READ = actionsOf('access.permissions');

/** Undefined: not even that may be asked. */
async function rolesAt(
  scope: string,
  { region }: CheckFacts,
): Promise<readonly RolePermissions[] | undefined> {
  try {
    return await region.roles(scope);
  } catch (failure) {
    if (isForbidden(failure)) return undefined;
    throw failure;
  }
}

type Denial = RolePermissions & { readonly name: string };

/** Who may not read them is not hindered by them: Azure itself has the last word. */
async function denialsAt(scope: string, { cloud }: CheckFacts): Promise<readonly Denial[]> {
  try {
    return await cloud.access.denials(scope);
  } catch (failure) {
    if (isForbidden(failure)) return [];
    throw failure;
  }
}

function notAllowed(actions: readonly string[], scope: string, facts: CheckFacts): Finding {
  const found = `Not allowed on ${scope}: ${actions.join(', ')}.`;
  return wrong('ACTION_MISSING', found, `${count(actions)} allowed there`, advice(actions, scope, facts));
}

function cannotLook(actions: readonly string[], scope: string, facts: CheckFacts): Finding {
  const found = `Not allowed on ${scope}, and needed by checks only: ${actions.join(', ')}.`;
  return doubtful(
    'LOOK_NOT_ALLOWED',
    found,
    `${count(actions)} allowed there`,
    advice(actions, scope, facts),
  );
}

function takenAway(actions: readonly string[], scope: string, denials: readonly Denial[]): Finding {
  const names = [...new Set(denials.map((denial) => `"${denial.name}"`))].join(', ');
  const found = `Denied on ${scope} by ${names}: ${actions.join(', ')}.`;
  const next = 'Ask the owner of that deny assignment for an exception, or use another resource group.';
  return wrong('ACTION_DENIED', found, 'no denial of what is needed', next);
}

function count(actions: readonly string[]): string {
  return actions.length === 1 ? 'that action' : `these ${actions.length} actions`;
}

function advice(actions: readonly string[], scope: string, { account }: CheckFacts): string {
  const roles = [...new Set(actions.map(builtInRole))].sort().join(' and ');
  const who = account ? `the application of ${account.name}` : 'the application';
  return `Give ${who} the role of \`standby account role --print\` on ${scope}, or the built-in role ${roles}.`;
}

/** The narrowest of Azure's own roles that has it. */
function builtInRole(action: string): string {
  if (action.endsWith('/read')) return 'Reader';
  if (action.startsWith('Microsoft.Network/')) return 'Network Contributor';
  if (action.startsWith('Microsoft.Storage/')) return 'Storage Account Contributor';
  if (action.startsWith('Microsoft.Compute/virtualMachines/')) return 'Virtual Machine Contributor';
  if (action.startsWith('Microsoft.Compute/snapshots/')) return 'Disk Snapshot Contributor';
  return 'Contributor';
}

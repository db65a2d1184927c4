import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { roleActions, roleDefinition, scenarioActions } from '../../src/control/role.ts';
import { verdictsFor } from '../../src/control/scenario.ts';
import { isStandbyError } from '../../src/errors.ts';
import type { Cloud } from '../../src/ports/cloud.ts';
import { actionsOf } from '../../src/ports/cloud-actions.ts';
import { CHECKS } from '../../src/verify/index.ts';
import { type AzureContext, startAzureContext } from './azure-context.ts';
import { addWhatOthersMake, type Command, commandPath, NAME, withAppliance } from './role-path.ts';

/**
 * The role is enough for the whole path and nothing in it is too much. The path is walked once, beginning with a role
 * that allows nothing: wherever Azure refuses, the action that it names is given, and nothing else, until all is done.
 * So each action was refused by name in a place to which less than the rest of the role leads: with all the rest and
 * without it, the path comes there too and names it. And what was given, the role in the end, carried the whole path.
 */
let local: AzureContext;
beforeAll(async () => {
  local = await startAzureContext();
}, 180_000);
afterAll(() => local?.close());

function allow(actions: readonly string[], notActions: readonly string[] = []): void {
  const { endpoint, directory, settings } = local.azure;
  settings.change({
    permissions: { actions: [], notActions: [] },
    roleAssignments: [
      {
        name: 'Standby Operator',
        scope: `/subscriptions/${endpoint.subscriptionId}`,
        principalId: directory.applications[0]?.objectId ?? '',
        actions: [...actions],
        notActions: [...notActions],
      },
    ],
  });
}

/** The check of permissions would find everything at once, so it is made to see a role that allows all. */
function blind(cloud: Cloud): Cloud {
  const all = { actions: ['*'], notActions: [] };
  const permissions = async (scope?: string) => {
    await cloud.access.permissions(scope);
    return { ...all, roles: [all] };
  };
  return { ...cloud, access: { ...cloud.access, permissions } };
}

const REFUSAL =
  /(?:authorization to perform action|permission to perform action\(s\)|action(?:\(s\))?) \\?'([\w./]+)\\?'(?! on scope)/;

/** The action that the command was refused, if any, and whether it went through. Any other failure is one. */
async function attempt(
  command: Command,
): Promise<{ readonly action: string | undefined; readonly done: boolean }> {
  let told: string;
  let done = true;
  try {
    told = JSON.stringify(await command.run()) ?? '';
  } catch (error) {
    if (!isStandbyError(error)) throw error;
    done = false;
    told = JSON.stringify({ ...error.toJSON(), message: error.message });
    // A machine under load may not start the blob service in time: Azure would say the same of itself.
    if (error.code === 'InternalServerError' && error.retry === 'later') return attempt(command);
    if (!REFUSAL.test(told)) throw new Error(`${command.name}: ${told}`, { cause: error });
  }
  return { action: REFUSAL.exec(told)?.[1], done };
}

/**
 * Who may not read deny assignments is not hindered by them, and the path never names it. The check of permissions does,
 * before anything is done (below).
 */
const LIVED_WITH = 'Microsoft.Authorization/denyAssignments/read';

/** Where in the path the scenario is created. */
const SCENARIO_AT = 6;

async function walk(commands: readonly Command[]): Promise<readonly string[]> {
  const given: string[] = [];
  const role = roleActions();
  for (const command of commands) {
    for (;;) {
      allow(given);
      const { action, done } = await attempt(command);
      if (action === undefined) break;
      expect(role.map((one) => one.toLowerCase())).toContain(action.toLowerCase());
      expect([command.name, given]).not.toEqual([command.name, expect.arrayContaining([action])]);
      given.push(action);
      if (done && command.once) break;
    }
    if (command.name === 'appliance deploy') {
      allow(['*']);
      await addWhatOthersMake(local);
    }
  }
  return given;
}

describe('the least-privilege role', () => {
  it('is what az takes, without a wildcard and without rights over rights', () => {
    const definition = roleDefinition({ subscriptionId: 'abc' });
    expect(definition).toMatchObject({
      IsCustom: true,
      NotActions: [],
      AssignableScopes: ['/subscriptions/abc'],
    });
    const { Actions } = definition;
    expect(
      Actions.filter(
        (action) => !/^Microsoft\.[A-Za-z]+(\/[A-Za-z]+)+\/(read|write|delete|action)$/.test(action),
      ),
    ).toEqual([]);
    expect(
      Actions.filter((action) => /^Microsoft\.Authorization\/.*(write|delete|action)$/.test(action)),
    ).toEqual([]);
    expect(new Set(Actions).size).toBe(Actions.length);
  });

  it('carries the whole path, and each action of it is refused by name when it is taken away', async () => {
    const context = withAppliance(local, blind);
    const path = commandPath(local, context, 'azure-dns');
    const again = commandPath(local, context, 'azure-private-dns');
    const given = await walk([...path, ...again.slice(SCENARIO_AT)]);
    const lower = (actions: readonly string[]) => actions.map((one) => one.toLowerCase()).sort();
    expect(lower([...given, LIVED_WITH])).toEqual(lower(roleActions()));
  }, 240_000);
});

describe('before anything is done', () => {
  it('the check of permissions names each action that the scenario needs and that is taken away', async () => {
    const context = withAppliance(local);
    allow(roleActions());
    const create = commandPath(local, context, 'azure-dns')[SCENARIO_AT];
    expect(create && (await attempt(create))).toEqual({ action: undefined, done: true });
    const scenario = await context.store.scenarios.byName(NAME);
    if (scenario?.redirect?.kind !== 'azure-dns') throw new Error('The scenario was just created');
    const { redirect } = scenario;
    const needed = [
      ...scenarioActions(scenario, undefined, undefined),
      ...actionsOf(...CHECKS.flatMap((check) => check.uses)),
    ];
    const unnamed: string[] = [];
    for (const action of new Set(needed)) {
      allow(roleActions(), [action]);
      const kind = action.includes('/privateDnsZones/') ? 'azure-private-dns' : 'azure-dns';
      const verdicts = await verdictsFor(context, { ...scenario, redirect: { ...redirect, kind } }, 'watch');
      const found = verdicts.filter((one) => ['ACTION_MISSING', 'LOOK_NOT_ALLOWED'].includes(one.code));
      const named = new Set(found.map((one) => one.found.match(/: ([^:]+)\.$/)?.[1]));
      if (named.size === 0) unnamed.push(action);
      else expect([...named]).toEqual([action]);
    }
    // The resource group is there: nobody has to make it.
    expect(unnamed).toEqual(['Microsoft.Resources/subscriptions/resourceGroups/write']);
  }, 240_000);
});

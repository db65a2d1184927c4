import { StandbyError } from '../../../src/errors.ts';
import type { CloudAccess } from '../../../src/ports/cloud.ts';
import type { Answer } from '../answers.ts';
import type { Azure } from '../azure.ts';
import { mapSignInError } from '../sign-in-errors.ts';
import {
  DENIALS,
  LOCKS,
  PERMISSIONS,
  POLICIES,
  readList,
  rolePermissions,
  scopeOf,
} from './authorization.ts';

const PROVIDERS = ['Microsoft.Compute', 'Microsoft.Network', 'Microsoft.Storage'] as const;
const CLOCK_DIFFERENCE_MAX_MS = 5 * 60_000;

/** Who we are to Azure, and what we may do there. */
export function makeAccess(azure: Azure): CloudAccess {
  const { account, calls, clients, endpoints } = azure;
  return {
    async signIn() {
      const answer: Answer = {};
      try {
        const credential = await clients.credential();
        const token = await calls.answers.listen(answer, () => credential.getToken(endpoints.scope));
        refuseClockDifference(answer);
        return { expiresAtMs: token.expiresOnTimestamp };
      } catch (error) {
        if (error instanceof StandbyError) throw error;
        throw mapSignInError(error, answer, azure.clientSecret);
      }
    },

    async subscription() {
      const what = `The subscription ${account.subscriptionId} could not be read.`;
      try {
        const client = await clients.subscriptions();
        const found = await calls.call(what, () => client.subscriptions.get(account.subscriptionId));
        if (!found.subscriptionId) throw notVisible(what, 'Azure answered with nothing.');
        return {
          id: found.subscriptionId,
          name: found.displayName ?? found.subscriptionId,
          state: found.state ?? 'Unknown',
        };
      } catch (error) {
        if (error instanceof StandbyError && /^(AuthorizationFailed|HTTP_40[34])$/.test(error.code)) {
          throw notVisible(what, error.why ?? error.message);
        }
        throw error;
      }
    },

    async permissions(scope = `/subscriptions/${account.subscriptionId}`) {
      const found = await readList(azure, scope, PERMISSIONS);
      const roles = found.map(rolePermissions);
      return {
        actions: roles.flatMap((role) => role.actions),
        notActions: roles.flatMap((role) => role.notActions),
        roles,
      };
    },

    async denials(scope) {
      const found = await readList(azure, scope, DENIALS);
      return found.flatMap(({ name, properties }) =>
        (properties?.permissions ?? []).map((each) => ({ name: name ?? '', ...rolePermissions(each) })),
      );
    },

    async locks(scope) {
      const found = await readList(azure, scope, LOCKS);
      return found.map(({ id, name, properties }) => ({
        name: name ?? '',
        scope: scopeOf(id),
        level: properties?.level === 'ReadOnly' ? ('ReadOnly' as const) : ('CanNotDelete' as const),
      }));
    },

    async policies(scope) {
      const found = await readList(azure, scope, POLICIES);
      return found
        .filter((each) => each.properties?.enforcementMode !== 'DoNotEnforce')
        .map(({ id, name, properties }) => ({
          name: properties?.displayName ?? name ?? '',
          scope: properties?.scope ?? scopeOf(id),
          definitionId: properties?.policyDefinitionId ?? '',
          parameters: Object.fromEntries(
            Object.entries(properties?.parameters ?? {}).map(([key, each]) => [key, each.value]),
          ),
        }));
    },

    async providers() {
      const client = await clients.resources();
      return Promise.all(
        PROVIDERS.map(async (namespace) => {
          const provider = await calls.call(`The resource provider ${namespace} could not be read.`, () =>
            client.providers.get(namespace),
          );
          return { namespace, registered: provider.registrationState === 'Registered' };
        }),
      );
    },
  };
}

function notVisible(what: string, why: string): StandbyError {
  return new StandbyError({
    code: 'SUBSCRIPTION_NOT_VISIBLE',
    what,
    why,
    next: 'Check the subscription ID, and give the application a role on that subscription (Access control, Add role assignment).',
  });
}

function refuseClockDifference(answer: Answer): void {
  const differenceMs = answer.clockDifferenceMs ?? 0;
  if (Math.abs(differenceMs) <= CLOCK_DIFFERENCE_MAX_MS) return;
  const minutes = Math.round(Math.abs(differenceMs) / 60_000);
  throw new StandbyError({
    code: 'CLOCK_SKEW',
    what: 'This machine’s clock is wrong.',
    why: `It is ${minutes} minutes ${differenceMs > 0 ? 'behind' : 'ahead of'} Azure’s.`,
    next: 'Set this machine’s clock right (NTP), then try again.',
    retry: 'later',
  });
}

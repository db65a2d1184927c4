import { StandbyError } from '../../../src/errors.ts';
import type { CloudAccess } from '../../../src/ports/cloud.ts';
import type { Answer } from '../answers.ts';
import type { Azure } from '../azure.ts';
import { mapSignInError } from '../sign-in-errors.ts';

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

    async permissions() {
      const client = await clients.authorization();
      // The SDK lists permissions of a resource group or a resource only. Azure answers the same question for a
      // subscription, and the SDK's pager reads any page by its URL.
      const page = `${endpoints.resourceManagerUrl}/subscriptions/${account.subscriptionId}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01`;
      const actions: string[] = [];
      const notActions: string[] = [];
      const pages = await calls.collect('The permissions in the subscription could not be read.', () =>
        client.permissions.listForResourceGroup('-').byPage({ continuationToken: page }),
      );
      for (const permission of pages.flat()) {
        actions.push(...(permission.actions ?? []));
        notActions.push(...(permission.notActions ?? []));
      }
      return { actions, notActions };
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

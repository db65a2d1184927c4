import { isStandbyError } from '../../errors.ts';
import { daysUntil } from '../../model/account.ts';
import type { Check, CheckFacts, Finding } from '../check.ts';
import { doubtful, error, ok, skipped, unseen, warning, wrong } from '../check.ts';

const NEAR_DAYS = 30;
/** What Azure answers to a secret that is of no use any more. Other troubles say nothing about the secret. */
const REFUSED = new Set(['SECRET_WRONG', 'SECRET_EXPIRED', 'APPLICATION_UNKNOWN', 'TENANT_UNKNOWN']);

/** The account's client secret still signs in, and not only for some days more (G-30): asked anew at every moment. */
export const clientSecret: Check = {
  id: 'client-secret',
  title: 'Client secret',
  group: 'Identity',
  uses: ['access.signIn'],
  codes: {
    SECRET_UNKNOWN: unseen('The account of the scenario is not known here.', '`standby account list`.'),
    SECRET_REFUSED: error(
      'Azure does not take the client secret: wrong, expired, or the application or tenant is gone.',
      'Make a new secret in the portal, then `standby account renew`.',
    ),
    SECRET_DATE_OVER: warning(
      'The date given for the end of the secret is over, though it still signs in.',
      'Give the right date with `standby account renew`.',
    ),
    SECRET_ENDS_SOON: warning(
      'The secret ends within 30 days; after that no switchover is possible.',
      'Make a new secret in the portal, then `standby account renew`.',
    ),
  },
  async run({ account, cloud, clock }): Promise<readonly Finding[]> {
    if (!account) return [skipped('SECRET_UNKNOWN', 'the account is not known')];
    const { name, secretExpiresOn: date } = account;
    const next = `Make a new secret in the portal, then: standby account renew ${name}`;
    const refusal = await refusedBy(cloud);
    if (refusal) return [wrong('SECRET_REFUSED', refusal, 'a secret that signs in', next)];
    if (date === undefined) {
      return [ok('SECRET_SIGNS_IN', `"${name}" signs in; when its secret ends is not known here`)];
    }
    const days = daysUntil(date, clock.now());
    const expected = `more than ${NEAR_DAYS} days`;
    if (days < 0) {
      const found = `"${name}" still signs in, but the date given for its secret, ${date}, is over.`;
      return [doubtful('SECRET_DATE_OVER', found, expected, next)];
    }
    if (days <= NEAR_DAYS) {
      const found = `The secret of "${name}" ends on ${date}, in ${days} day${days === 1 ? '' : 's'}; no switchover is possible after that.`;
      return [doubtful('SECRET_ENDS_SOON', found, expected, next)];
    }
    return [ok('SECRET_SIGNS_IN', `"${name}" signs in; its secret ends on ${date}, in ${days} days`)];
  },
};

async function refusedBy(cloud: CheckFacts['cloud']): Promise<string | undefined> {
  try {
    await cloud.access.signIn();
    return undefined;
  } catch (error) {
    if (isStandbyError(error) && REFUSED.has(error.code)) return error.message;
    throw error;
  }
}

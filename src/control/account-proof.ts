import type { Clock } from '../clock.ts';
import { isStandbyError, StandbyError } from '../errors.ts';
import { type Account, daysUntil } from '../model/account.ts';
import type { Verdict } from '../model/verdict.ts';
import type { Cloud, CloudAccess } from '../ports/cloud.ts';
import { permits } from '../verify/permitted.ts';
import { roleActions } from './role.ts';

/** What proving an account found. `failure` is the first thing that is wrong; later lines are then skipped. */
export interface AccountProof {
  readonly lines: readonly Verdict[];
  readonly failure?: StandbyError;
}

const NEAR_DAYS = 30;

interface Proof {
  readonly code: string;
  readonly title: string;
  prove(access: CloudAccess): Promise<Omit<Verdict, 'code' | 'title'>>;
}

const PROOFS: readonly Proof[] = [
  {
    code: 'SIGN_IN',
    title: 'Sign-in',
    prove: async (access) => {
      await access.signIn();
      return { status: 'ok', found: 'a token was issued' };
    },
  },
  { code: 'SUBSCRIPTION', title: 'Subscription', prove: proveSubscription },
  { code: 'PERMISSIONS', title: 'Permissions', prove: provePermissions },
  { code: 'PROVIDERS', title: 'Resource providers', prove: proveProviders },
];

/** Asks Azure, in order; nothing is asked after the first failure, because its answer would say nothing new. */
export async function proveAccount(cloud: Cloud, account: Account, clock: Clock): Promise<AccountProof> {
  const lines: Verdict[] = [];
  let failure: StandbyError | undefined;
  for (const { code, title, prove } of PROOFS) {
    if (failure) {
      lines.push({ code, title, status: 'skipped', found: 'not asked: an earlier line failed' });
      continue;
    }
    try {
      lines.push({ code, title, ...(await prove(cloud.access)) });
    } catch (error) {
      if (!isStandbyError(error) || error.kind === 'cancelled' || error.kind === 'interrupted') throw error;
      failure = withHint(error);
      lines.push(failedLine(title, failure));
    }
  }
  const expiry = expiryLine(account, clock);
  return { lines: expiry ? [...lines, expiry] : lines, ...(failure ? { failure } : {}) };
}

function failedLine(title: string, error: StandbyError): Verdict {
  const found = error.why ? `${error.what} ${error.why}` : error.what;
  return { code: error.code, title, status: 'error', found, ...(error.next ? { next: error.next } : {}) };
}

const SWAPPED =
  'Compare both IDs with the app’s Overview page: the tenant and application IDs may be swapped.';
const NEW_SECRET =
  'Make a new secret under Certificates & secrets, copy its Value at once (later it is masked), and give that.';

/** Azure says what it refused; the person who typed five fields needs to know which one to look at. */
function withHint(error: StandbyError): StandbyError {
  const hints: Readonly<Record<string, string>> = {
    APPLICATION_UNKNOWN: SWAPPED,
    TENANT_UNKNOWN: SWAPPED,
    SECRET_WRONG: NEW_SECRET,
    SECRET_EXPIRED: NEW_SECRET,
  };
  const hint = hints[error.code];
  if (!hint) return error;
  return new StandbyError({
    code: error.code,
    what: error.what,
    ...(error.why ? { why: error.why } : {}),
    next: hint,
    kind: error.kind,
    retry: error.retry,
    cause: error.cause,
  });
}

async function proveSubscription(access: CloudAccess): Promise<Omit<Verdict, 'code' | 'title'>> {
  const { name, state } = await access.subscription();
  if (state === 'Enabled') return { status: 'ok', found: `${name} is readable and enabled` };
  if (state === 'Warned' || state === 'PastDue') {
    return {
      status: 'warning',
      found: `${name} is ${state}: Azure may switch it off`,
      expected: 'Enabled',
      next: 'Settle the subscription’s bill in the portal (Cost Management).',
    };
  }
  throw new StandbyError({
    code: 'SUBSCRIPTION_DISABLED',
    what: `The subscription ${name} cannot be used.`,
    why: `Its state is ${state}.`,
    next: 'Enable it in the portal (Subscriptions), or give another subscription ID.',
  });
}

async function provePermissions(access: CloudAccess): Promise<Omit<Verdict, 'code' | 'title'>> {
  const { needed, missing } = await missingActions(access);
  if (missing.length === 0) return { status: 'ok', found: `all ${needed.length} needed actions are allowed` };
  // A role may have been given on resource groups only; that is seen when they are chosen, so it does not stop here.
  const shown = missing.slice(0, 5).join(', ');
  const more = missing.length > 5 ? ` and ${missing.length - 5} more` : '';
  return {
    status: 'warning',
    found: `not allowed on the whole subscription: ${shown}${more}`,
    expected: `${needed.length} actions on the subscription or on every resource group used`,
    next: 'Give the app the role of `standby account role --print`, or Contributor: portal, Subscriptions, Access control (IAM).',
  };
}

/** On the whole subscription. */
export async function missingActions(
  access: CloudAccess,
): Promise<{ readonly needed: readonly string[]; readonly missing: readonly string[] }> {
  const found = await access.permissions();
  const needed = roleActions();
  return { needed, missing: needed.filter((action) => !permits(found.roles ?? [found], action)) };
}

async function proveProviders(access: CloudAccess): Promise<Omit<Verdict, 'code' | 'title'>> {
  const providers = await access.providers();
  const missing = providers.filter((provider) => !provider.registered).map((provider) => provider.namespace);
  if (missing.length === 0) {
    return { status: 'ok', found: providers.map((provider) => provider.namespace).join(', ') };
  }
  throw new StandbyError({
    code: 'PROVIDER_NOT_REGISTERED',
    what: `The subscription is not registered for ${missing.join(', ')}.`,
    why: 'Azure refuses resources of a provider that is not registered.',
    next: missing.map((namespace) => `az provider register --namespace ${namespace}`).join('; '),
  });
}

/** Undefined when no date was given. */
function expiryLine(account: Account, clock: Clock): Verdict | undefined {
  const date = account.secretExpiresOn;
  if (!date) return undefined;
  const line = { code: 'SECRET_EXPIRY', title: 'Secret’s expiry' };
  const next = `Make a new secret in the portal, then: standby account renew ${account.name}`;
  const days = daysUntil(date, clock.now());
  if (days < 0) return { ...line, status: 'warning', found: `the date given, ${date}, is over`, next };
  if (days > NEAR_DAYS) return { ...line, status: 'ok', found: `${date}, in ${days} days` };
  return { ...line, status: 'warning', found: `${date}, in ${days} day${days === 1 ? '' : 's'}`, next };
}

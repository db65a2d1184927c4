import { type ErrorFacts, messageOf, StandbyError } from '../../src/errors.ts';
import type { Answer } from './answers.ts';
import { networkError, redact } from './errors.ts';

/** Entra's numbers to our words. Each way to be wrong has its own code and its own next step. */
export function mapSignInError(error: unknown, answer: Answer, clientSecret: string): StandbyError {
  const what = 'Signing in to Azure failed.';
  const network =
    answer.status === undefined ? networkError(what, answer.networkCode ?? networkCodeIn(error)) : undefined;
  if (network) return network;
  const number = entraNumber(error, answer);
  const known = number === undefined ? undefined : ENTRA[number];
  if (!known) {
    const text = redact(answer.message ?? messageOf(error));
    return new StandbyError({
      code: number === undefined ? 'SIGN_IN_FAILED' : `AADSTS${number}`,
      what,
      why: firstLine(text),
      next: 'Look the code up in Microsoft’s list of sign-in errors, or ask who runs the tenant.',
      retry: (answer.status ?? 0) >= 500 || answer.status === 429 ? 'later' : 'never',
    });
  }
  const { why, ...facts } = known;
  return new StandbyError({ ...facts, what, why: `${why}${secretHint(known.code, clientSecret)}` });
}

type Known = Omit<ErrorFacts, 'what' | 'why'> & { readonly why: string };

const SECRET_WRONG: Known = {
  code: 'SECRET_WRONG',
  why: 'The client secret is not right (AADSTS7000215).',
  next: 'Paste the secret’s Value, not its Secret ID. Azure shows the value only once: make a new secret if it is lost.',
};
const TENANT_UNKNOWN: Known = {
  code: 'TENANT_UNKNOWN',
  why: 'There is no such tenant (AADSTS90002).',
  next: 'Check the tenant (directory) ID; the tenant and application IDs may be swapped.',
};
const CLOCK_SKEW: Known = {
  code: 'CLOCK_SKEW',
  why: 'Entra says the time of this request is wrong.',
  next: 'Set this machine’s clock right (NTP), then try again.',
  retry: 'later',
};

const ENTRA: Readonly<Record<number, Known>> = {
  7000215: SECRET_WRONG,
  7000218: SECRET_WRONG,
  7000222: {
    code: 'SECRET_EXPIRED',
    why: 'The client secret has expired (AADSTS7000222).',
    next: 'Make a new secret for the application (Certificates & secrets) and give it to `standby account verify`.',
  },
  700016: {
    code: 'APPLICATION_UNKNOWN',
    why: 'The application is not known in this tenant (AADSTS700016).',
    next: 'Check the application (client) ID; the tenant and application IDs may be swapped.',
  },
  7000112: {
    code: 'APPLICATION_DISABLED',
    why: 'The application is disabled (AADSTS7000112).',
    next: 'Have it enabled in Entra (Enterprise applications, Properties).',
  },
  90002: TENANT_UNKNOWN,
  90023: TENANT_UNKNOWN,
  900021: TENANT_UNKNOWN,
  900023: TENANT_UNKNOWN,
  700024: CLOCK_SKEW,
  500133: CLOCK_SKEW,
};

function entraNumber(error: unknown, answer: Answer): number | undefined {
  const fromBody = answer.entraCodes?.[0];
  if (fromBody !== undefined) return fromBody;
  const cause = (error as { cause?: { errorNo?: unknown } }).cause;
  const number = Number(cause?.errorNo);
  if (Number.isFinite(number) && number > 0) return number;
  const text = /AADSTS(\d+)/.exec(`${answer.message ?? ''} ${messageOf(error)}`)?.[1];
  return text === undefined ? undefined : Number(text);
}

function networkCodeIn(error: unknown): string | undefined {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' ? code : undefined;
}

function secretHint(code: string, clientSecret: string): string {
  const isGuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(clientSecret);
  return code === 'SECRET_WRONG' && isGuid ? ' What was given looks like the secret’s ID.' : '';
}

function firstLine(text: string): string {
  return text.split(/\r?\n| Trace ID:/)[0] ?? text;
}

import { type ErrorFacts, isStandbyError, messageOf, StandbyError } from '../../src/errors.ts';
import type { Answer } from './answers.ts';

/** Turns what the SDKs throw, and what Azure really answered, into one StandbyError with Azure's own code. */

interface SdkError {
  readonly name?: string;
  readonly code?: unknown;
  readonly statusCode?: unknown;
  readonly message?: string;
  readonly details?: unknown;
}

interface Reason {
  readonly code: string;
  readonly why: string;
  readonly status?: number;
}

/** node:tls words for "I do not trust this certificate". */
const CERTIFICATE_CODES =
  /^(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?|CERT_[A-Z_]+|ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH|INVALID_CA)$/;
const NETWORK_CODES =
  /^(REQUEST_SEND_ERROR|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ESOCKETTIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE|EPROTO|UND_ERR_\w+|ERR_SSL_\w+|ERR_TLS_\w+)$/;

export function mapError(what: string, error: unknown, answer: Answer = {}): StandbyError {
  if (isStandbyError(error)) return error;
  const failure = error as SdkError;
  const network = networkError(what, networkCodeOf(failure, answer));
  if (network) return network;
  const reason = reasonOf(failure, answer);
  const facts: ErrorFacts = {
    code: reason.code,
    what,
    why: reason.why + (answer.requestId ? ` (Azure's request id: ${answer.requestId})` : ''),
    cause: safeCause(error),
  };
  return new StandbyError({ ...facts, ...adviceFor(reason, answer) });
}

/** CA_UNTRUSTED and CLOUD_UNREACHABLE look the same in the SDKs' messages; the socket's own code tells them apart. */
export function networkError(what: string, networkCode: string | undefined): StandbyError | undefined {
  if (networkCode === undefined) return undefined;
  if (CERTIFICATE_CODES.test(networkCode)) {
    return new StandbyError({
      code: 'CA_UNTRUSTED',
      what,
      why: `Its TLS certificate is not signed by an authority this machine trusts (${networkCode}).`,
      next: 'Give the CA file of this cloud with the account, or find out who answers in its place: a proxy that opens TLS does this too.',
    });
  }
  if (!NETWORK_CODES.test(networkCode)) return undefined;
  return new StandbyError({
    code: 'CLOUD_UNREACHABLE',
    what,
    why: `No answer came over the network (${networkCode}).`,
    next: 'Check the network, name resolution and proxy of this machine, then try again.',
    retry: 'later',
  });
}

function networkCodeOf(error: SdkError, answer: Answer): string | undefined {
  if (answer.networkCode && answer.status === undefined) return answer.networkCode;
  const code = typeof error.code === 'string' ? error.code : undefined;
  return error.statusCode === undefined && answer.status === undefined ? code : undefined;
}

export function reasonOf(error: SdkError, answer: Answer): Reason {
  const status = typeof error.statusCode === 'number' ? error.statusCode : answer.status;
  const said = answer.code ?? (typeof error.code === 'string' ? error.code : undefined);
  const details = (answer.details ?? []).map((detail) => detail.message).filter(Boolean);
  const message = [answer.message ?? error.message ?? 'Azure gave no reason.', ...details].join(' ');
  const code = said ?? (status === undefined || status < 400 ? 'AZURE_FAILED' : `HTTP_${status}`);
  return { code: ownCode(code, message, status), why: redact(message), ...(status ? { status } : {}) };
}

/** Azure says some things in two ways; ours is the clearer one. */
function ownCode(code: string, message: string, status: number | undefined): string {
  if (code === 'OperationNotAllowed' && /quota/i.test(message)) return 'QuotaExceeded';
  if (/^(SubscriptionNotFound|InvalidSubscriptionId|InvalidAuthenticationTokenTenant)$/.test(code)) {
    return 'SUBSCRIPTION_NOT_VISIBLE';
  }
  if (status === 401 && /not yet valid|nbf|lifetime/i.test(message)) return 'CLOCK_SKEW';
  if (status === 429 && !/[a-z]/.test(code)) return 'TooManyRequests';
  return code;
}

type Advice = Pick<ErrorFacts, 'next' | 'retry'>;

const ADVICE: Readonly<Record<string, Advice>> = {
  SUBSCRIPTION_NOT_VISIBLE: {
    next: 'Check the subscription ID, and give the application a role on that subscription (Access control, Add role assignment).',
  },
  CLOCK_SKEW: { next: 'Set this machine’s clock right (NTP), then try again.', retry: 'later' },
  QuotaExceeded: {
    next: 'Ask for more quota (Subscription, Usage + quotas), or choose a smaller size or another region.',
  },
  SkuNotAvailable: { next: 'Choose another size, zone or region.' },
  AllocationFailed: {
    next: 'Azure has no room for this size just now: try again later, or choose another size.',
    retry: 'later',
  },
  ZonalAllocationFailed: {
    next: 'The zone has no room for this size just now: try again later, or choose another zone or size.',
    retry: 'later',
  },
  OverconstrainedAllocationRequest: { next: 'Choose another size, or give up the zone.', retry: 'later' },
  OverconstrainedZonalAllocationRequest: { next: 'Choose another size or zone.', retry: 'later' },
  MissingSubscriptionRegistration: {
    next: 'Register the resource provider that is named (Subscription, Resource providers), then try again.',
  },
  ScopeLocked: { next: 'A lock forbids this: have it removed from the resource group, then try again.' },
  RequestDisallowedByPolicy: {
    next: 'A policy of the subscription forbids this: ask who owns the policy for an exemption.',
  },
  AttachDiskWhileBeingDetached: { next: 'Wait until the disk is free, then try again.', retry: 'later' },
  TooManyRequests: {
    next: 'Azure asks for fewer calls: wait a few minutes, then try again.',
    retry: 'later',
  },
};

function adviceFor(reason: Reason, answer: Answer): Advice {
  if (/^(Linked)?AuthorizationFailed$/.test(reason.code)) return authorizationAdvice(reason.why);
  const known = ADVICE[reason.code];
  if (known) return known;
  const status = reason.status ?? answer.status ?? 0;
  if (status === 429) return ADVICE.TooManyRequests ?? {};
  if (status >= 500) return { next: 'Azure had a fault of its own: try again in a while.', retry: 'later' };
  return {};
}

function authorizationAdvice(message: string): Advice {
  const action = /perform action(?:\(s\))? '([^']+)' on the linked scope/.exec(message)?.[1];
  const plain = /perform action(?:\(s\))? '([^']+)'/.exec(message)?.[1];
  const scope = /(?:over|linked) scope(?:\(s\))? '([^']+)'/.exec(message)?.[1];
  const missing = action ?? plain;
  return {
    next: missing
      ? `Give the application a role with the action ${missing}${scope ? ` on ${scope}` : ''}, then try again.`
      : 'Give the application a role that allows this, then try again.',
  };
}

/** Signatures of poll URLs and SAS never get into a message. */
export function redact(text: string): string {
  return text.replace(/([?&](?:sig|s|c|h)=)[^&\s"'<>]+/gi, '$1…');
}

/** The SDK's error carries the whole request; its words are enough. */
function safeCause(error: unknown): Error {
  const plain = new Error(redact(messageOf(error)));
  plain.name = error instanceof Error ? error.name : 'Error';
  return plain;
}

export function isTransient(error: unknown, answer: Answer): boolean {
  const status = (error as SdkError).statusCode ?? answer.status;
  if (typeof status === 'number') return status === 429 || status === 408 || status >= 500;
  const code = networkCodeOf(error as SdkError, answer);
  return code !== undefined && NETWORK_CODES.test(code);
}

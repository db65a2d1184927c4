import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from '../../src/clock.ts';
import { BUCKETS, makeRequestBudget, type RequestBudget } from './request-budget.ts';

/**
 * What the last HTTP answer of a call really said. The SDKs lose it: a failed long-running operation becomes a
 * plain Error, a failed list "Pagination failed", an untrusted certificate "endpoints_resolution_error".
 * A policy in every client's pipeline writes it down for the call that is running.
 */
export interface Answer {
  status?: number;
  /** The body's `error`: Azure's own words. */
  code?: string;
  message?: string;
  details?: readonly { code?: string; message?: string }[];
  /** Entra's numbers (`error_codes`). */
  entraCodes?: readonly number[];
  /** The body of Microsoft.Authorization's lists, of which the SDK keeps only what it knows. */
  text?: string;
  requestId?: string;
  retryAfterMs?: number;
  /** The other side's clock minus ours; only as exact as a second. */
  clockDifferenceMs?: number;
  /** Why no answer came: ECONNREFUSED, SELF_SIGNED_CERT_IN_CHAIN, ... */
  networkCode?: string;
}

interface RequestLike {
  readonly url: string;
  readonly method: string;
  readonly abortSignal?: unknown;
}
interface ResponseLike {
  readonly status: number;
  readonly headers: { get(name: string): string | undefined };
  readonly bodyAsText?: string | null;
}
/** Fits the SDKs' PipelinePolicy without importing their inner package. */
export interface AnswerPolicy {
  readonly name: string;
  sendRequest<Request extends RequestLike, Response extends ResponseLike>(
    request: Request,
    next: (request: Request) => Promise<Response>,
  ): Promise<Response>;
}

export interface Answers {
  readonly policy: AnswerPolicy;
  /** Runs `work`; every HTTP answer inside it is written into `answer`. */
  listen<Result>(answer: Answer, work: () => Promise<Result>): Promise<Result>;
  readonly reads: RequestBudget;
}

export function makeAnswers(clock: Clock): Answers {
  const listening = new AsyncLocalStorage<Answer>();
  const budgets = {
    reads: makeRequestBudget(BUCKETS.reads, clock),
    writes: makeRequestBudget(BUCKETS.writes, clock),
    deletes: makeRequestBudget(BUCKETS.deletes, clock),
  };
  const policy: AnswerPolicy = {
    name: 'standbyAnswer',
    async sendRequest(request, next) {
      const answer = listening.getStore();
      try {
        const response = await inTurn(request, next);
        if (answer) Object.assign(clear(answer), readAnswer(response, clock));
        if (answer && KEPT.test(request.url) && response.bodyAsText) answer.text = response.bodyAsText;
        return response;
      } catch (error) {
        if (answer) Object.assign(clear(answer), readFailure(error));
        throw error;
      }
    },
  };

  /** Asks when Azure Resource Manager will not refuse it for having been asked too much. */
  async function inTurn<Request extends RequestLike, Response extends ResponseLike>(
    request: Request,
    next: (request: Request) => Promise<Response>,
  ): Promise<Response> {
    if (!COUNTED.test(request.url)) return next(request);
    const kind = kindOf(request.method);
    const { abortSignal } = request;
    await budgets[kind].turn(abortSignal instanceof AbortSignal ? abortSignal : undefined);
    let told: number | undefined;
    try {
      const response = await next(request);
      const text = response.headers.get(`x-ms-ratelimit-remaining-subscription-${kind}`) ?? '';
      told = /^\d+$/.test(text) ? Number(text) : undefined;
      return response;
    } finally {
      budgets[kind].answered(told);
    }
  }

  return {
    policy,
    listen: (answer, work) => listening.run(answer, work),
    reads: budgets.reads,
  };
}

/** Of Azure Resource Manager; sign-ins and blobs are counted elsewhere. */
const COUNTED = /^https:\/\/[^/]+\/subscriptions\//i;

function kindOf(method: string): keyof typeof BUCKETS {
  if (method === 'GET' || method === 'HEAD') return 'reads';
  return method === 'DELETE' ? 'deletes' : 'writes';
}

const KEPT = /\/providers\/Microsoft\.Authorization\//i;

function clear(answer: Answer): Answer {
  for (const key of Object.keys(answer) as (keyof Answer)[]) delete answer[key];
  return answer;
}

function readAnswer(response: ResponseLike, clock: Clock): Answer {
  const { headers } = response;
  const dateMs = Date.parse(headers.get('date') ?? '');
  const retryAfterMs = readRetryAfter(headers.get('retry-after'), clock);
  const requestId = headers.get('x-ms-request-id');
  return {
    status: response.status,
    ...(requestId ? { requestId } : {}),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(Number.isNaN(dateMs) ? {} : { clockDifferenceMs: dateMs - clock.now() }),
    ...readBody(response.bodyAsText),
  };
}

function readFailure(error: unknown): Answer {
  const failure = error as {
    code?: unknown;
    statusCode?: unknown;
    response?: { bodyAsText?: string | null };
  };
  return {
    ...(typeof failure.code === 'string' ? { networkCode: failure.code } : {}),
    ...(typeof failure.statusCode === 'number' ? { status: failure.statusCode } : {}),
    ...readBody(failure.response?.bodyAsText),
  };
}

/** A body that is not JSON (an HTML page from a gateway, a blob) has nothing to say. */
function readBody(text: string | null | undefined): Answer {
  if (!text?.trimStart().startsWith('{')) return {};
  let body: { error?: unknown; error_codes?: unknown; error_description?: unknown };
  try {
    body = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
  if (Array.isArray(body.error_codes)) {
    const message = typeof body.error_description === 'string' ? body.error_description : undefined;
    return { entraCodes: body.error_codes.map(Number), ...(message ? { message } : {}) };
  }
  const error = body.error as
    | { code?: string; message?: string; details?: Answer['details'] }
    | undefined
    | null;
  if (typeof error !== 'object' || error === null) return {};
  return {
    ...(error.code ? { code: error.code } : {}),
    ...(error.message ? { message: error.message } : {}),
    ...(Array.isArray(error.details) ? { details: error.details } : {}),
  };
}

/** Seconds or an HTTP date. */
export function readRetryAfter(text: string | undefined, clock: Clock): number | undefined {
  if (!text) return undefined;
  const seconds = Number(text);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - clock.now());
}

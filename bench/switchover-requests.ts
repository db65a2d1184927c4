import { channel } from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Clock } from '../src/clock.ts';

/** One question to Azure Resource Manager and its answer, as the client saw them. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly status: number;
  /** What a PUT began: the last part of its poll URL. */
  readonly operationId?: string;
}

/** Listens to all that this process asks of that host; several Azures may be asked side by side. */
export function recordExchanges(url: string, clock: Clock): { stop(): readonly Exchange[] } {
  const { port } = new URL(url);
  const started = new Map<ClientRequest, number>();
  const exchanges: Exchange[] = [];
  const onStart = (message: unknown) => {
    const { request } = message as { request: ClientRequest };
    started.set(request, clock.now());
  };
  const onFinish = (message: unknown) => {
    const { request, response } = message as { request: ClientRequest; response: IncomingMessage };
    const startMs = started.get(request);
    started.delete(request);
    const isOurs = request.getHeader('host') === `${new URL(url).hostname}:${port}`;
    if (startMs === undefined || !isOurs || !request.path.startsWith('/subscriptions/')) return;
    const poll = response.headers['azure-asyncoperation'];
    const operationId = typeof poll === 'string' ? new URL(poll).pathname.split('/').at(-1) : undefined;
    exchanges.push({
      ...{ method: request.method, path: request.path.split('?')[0] ?? '', startMs, endMs: clock.now() },
      status: response.statusCode ?? 0,
      ...(operationId === undefined ? {} : { operationId }),
    });
  };
  const [start, finish] = [channel('http.client.request.start'), channel('http.client.response.finish')];
  start.subscribe(onStart);
  finish.subscribe(onFinish);
  return {
    stop() {
      start.unsubscribe(onStart);
      finish.unsubscribe(onFinish);
      return exchanges;
    },
  };
}

/** How many came one after the other: the longest row in which each began when the one before had ended. */
export function inARow(exchanges: readonly Exchange[]): number {
  let count = 0;
  let freeMs = Number.NEGATIVE_INFINITY;
  for (const each of exchanges.toSorted((a, b) => a.endMs - b.endMs)) {
    if (each.startMs < freeMs) continue;
    count += 1;
    freeMs = each.endMs;
  }
  return count;
}

/** Azure's token buckets for one principal in one region, and how near to empty this came. */
export interface Buckets {
  readonly leastReads: number;
  readonly leastWrites: number;
  readonly refused: number;
}

export function bucketsAfter(exchanges: readonly Exchange[]): Buckets {
  const reads = exchanges.filter((each) => each.method === 'GET' || each.method === 'HEAD');
  const writes = exchanges.filter((each) => ['PUT', 'PATCH', 'POST'].includes(each.method));
  return {
    leastReads: leastOf(reads, 250, 25),
    leastWrites: leastOf(writes, 200, 10),
    refused: exchanges.filter((each) => each.status === 429).length,
  };
}

function leastOf(exchanges: readonly Exchange[], size: number, perSecond: number): number {
  let level = size;
  let least = size;
  let atMs = Number.NEGATIVE_INFINITY;
  for (const { startMs } of exchanges.toSorted((a, b) => a.startMs - b.startMs)) {
    level = Math.min(size, level + ((startMs - atMs) / 1000) * perSecond) - 1;
    atMs = startMs;
    least = Math.min(least, level);
  }
  return Math.floor(least);
}

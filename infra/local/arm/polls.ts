import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../../src/clock.ts';
import { isoTime } from '../../../src/clock.ts';
import type { Request, Response } from '../exchange.ts';
import type { FaultBoard } from '../faults.ts';
import type { Latency } from '../latency.ts';
import { ArmError } from './arm-error.ts';
import type { JsonObject } from './json.ts';
import { bytesFor, type OperationRecord, type Operations } from './operations.ts';

/**
 * Where clients ask how an operation is doing. The URLs are as long as Azure's of today (over 1 KB) and signed:
 * a client that rebuilds one instead of using it verbatim is refused with 403, as it would be there.
 */
export interface Polls {
  /** Headers of the answer that accepts the operation. */
  headersFor(record: OperationRecord): Record<string, string>;
  /** Is this a poll URL's path? Then its operation's id. */
  idOf(request: Request): string | undefined;
  answer(request: Request, id: string): Promise<Response>;
}

export function makePolls(options: {
  readonly baseUrl: string;
  readonly subscriptionId: string;
  readonly secret: Buffer;
  readonly operations: Operations;
  readonly latency: Latency;
  readonly faults: FaultBoard;
  readonly clock: Clock;
}): Polls {
  const { baseUrl, operations, latency, clock } = options;
  const pollCounts = new Map<string, number>();
  const sign = (text: string) => createHmac('sha256', options.secret).update(text).digest('base64url');

  const urlOf = (record: OperationRecord, monitor: boolean): string => {
    const shape = record.shape;
    if (shape === undefined) throw new Error(`Operation ${record.id} is not one to poll.`);
    const namespace = record.resourceId.split('/')[6] ?? '';
    const place =
      record.kind === 'group-delete'
        ? `/subscriptions/${options.subscriptionId}/${shape.path}/${record.id}`
        : `/subscriptions/${options.subscriptionId}/providers/${namespace}/locations/${record.location}/${monitor ? (shape.locationPath ?? shape.path) : shape.path}/${record.id}`;
    const isResult = monitor && shape.locationPath !== undefined;
    const bytes = (name: string, count: number) =>
      bytesFor(`${name}${record.id}`, count).toString('base64url');
    const text =
      `${place}?p=${record.id}&api-version=${record.apiVersion}${monitor && !isResult ? '&monitor=true' : ''}` +
      `&t=${record.startedAtMs}&c=${bytes('c', 720)}&s=${bytes('s', 256)}`;
    return `${text}&h=${sign(text)}`;
  };

  const verify = (request: Request): void => {
    const mark = request.rawUrl.lastIndexOf('&h=');
    const given = Buffer.from(mark < 0 ? '' : request.rawUrl.slice(mark + 3));
    const wanted = Buffer.from(mark < 0 ? '-' : sign(request.rawUrl.slice(0, mark)));
    if (given.length === wanted.length && timingSafeEqual(given, wanted)) return;
    throw new ArmError(
      403,
      'AuthorizationFailed',
      'The signature of the operation URL is not valid. Use the URL of the header Azure-AsyncOperation or Location as it is.',
    );
  };

  const statusAnswer = (record: OperationRecord): JsonObject => {
    const shape = record.shape;
    const error =
      record.error === undefined
        ? {}
        : { error: { code: record.error.code, message: record.error.message } as JsonObject };
    if (!shape?.times) return { status: record.status, ...error };
    return {
      startTime: isoTime(record.startedAtMs),
      ...(record.endedAtMs === undefined ? {} : { endTime: isoTime(record.endedAtMs) }),
      status: record.status,
      ...error,
      ...(shape.output && record.output !== undefined ? { properties: { output: record.output } } : {}),
      name: record.id,
    };
  };

  return {
    headersFor(record) {
      const shape = record.shape;
      if (shape === undefined) return {};
      return {
        ...(shape.poll === 'location' ? {} : { 'azure-asyncoperation': `${baseUrl}${urlOf(record, false)}` }),
        ...(shape.poll === 'azure-async' ? {} : { location: `${baseUrl}${urlOf(record, true)}` }),
        ...(shape.times && shape.path === 'operations' ? { 'azure-asyncnotification': 'Enabled' } : {}),
        'retry-after': String(latency.retryAfterSeconds(shape, 0)),
      };
    },
    idOf(request) {
      const lower = request.segments.map((part) => part.toLowerCase());
      const kind = lower.at(-2) ?? '';
      const isPlace = (lower.length === 8 && lower[4] === 'locations') || lower.length === 4;
      if (!isPlace || !['operations', 'diskoperations', 'asyncoperations', 'operationresults'].includes(kind))
        return undefined;
      return lower.at(-1);
    },
    async answer(request, id) {
      verify(request);
      const started = operations.get(id);
      if (started?.shape === undefined) {
        throw new ArmError(404, 'NotFound', `The operation '${id}' was not found: it ended long ago.`);
      }
      if (options.faults.take(started.action, (fault) => fault.error === 'poll') !== undefined) {
        throw new ArmError(
          500,
          'InternalServerError',
          'The server encountered an internal error. Please retry the request.',
        );
      }
      await holdUntilEnded(operations, clock, id, latency.holdPollMs);
      const record = operations.get(id) ?? started;
      const count = (pollCounts.get(id) ?? 0) + 1;
      if (record.status === 'InProgress') pollCounts.set(id, count);
      else pollCounts.delete(id);
      const retry: Record<string, string> =
        record.status === 'InProgress'
          ? { 'retry-after': String(latency.retryAfterSeconds(started.shape, count)) }
          : {};
      const isResult = request.segments.at(-2)?.toLowerCase() === 'operationresults';
      if (!request.query.has('monitor') && !isResult)
        return { status: 200, headers: retry, body: statusAnswer(record) };
      if (record.status === 'InProgress') {
        return { status: 202, headers: { ...retry, location: `${baseUrl}${request.rawUrl}` } };
      }
      if (record.error !== undefined) {
        throw new ArmError(record.error.status, record.error.code, record.error.message);
      }
      if (started.shape.locationEnd === 204) return { status: 204 };
      return record.output === undefined ? { status: 200 } : { status: 200, body: record.output };
    },
  };
}

async function holdUntilEnded(
  operations: Operations,
  clock: Clock,
  id: string,
  holdMs: number,
): Promise<void> {
  if (holdMs === 0) return;
  const stop = new AbortController();
  const timer = clock.sleep(holdMs, stop.signal).catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });
  await Promise.race([operations.ended(id), timer]);
  stop.abort();
}

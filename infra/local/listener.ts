import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { StandbyError } from '../../src/errors.ts';
import type { Log } from '../../src/log.ts';
import { ArmError } from './arm/arm-error.ts';
import { internalError } from './arm/operations.ts';
import type { ServerCertificate } from './certificates.ts';
import { type Request, type Response, readRequest } from './exchange.ts';
import type { RateLimits } from './rate-limits.ts';
import type { RequestLog } from './request-log.ts';

/**
 * The one HTTPS listener. Whatever goes wrong while a request is answered becomes an answer in Azure's shape;
 * nothing a client sends ends the process.
 */
export interface Listener {
  readonly port: number;
  stop(): Promise<void>;
}

export async function startListener(options: {
  readonly certificate: ServerCertificate;
  /** 0 = any free one. */
  readonly port: number;
  answer(request: Request): Promise<Response>;
  readonly rateLimits: RateLimits;
  readonly requestLogs: readonly RequestLog[];
  readonly log: Log;
  readonly nowMs: () => number;
}): Promise<Listener> {
  const server = createServer({
    cert: options.certificate.certificatePem,
    key: options.certificate.keyPem,
    minVersion: 'TLSv1.2',
  });
  // Longer than clients keep idle connections, so that they never meet one that is just closing.
  server.keepAliveTimeout = 120_000;
  server.on('request', (message: IncomingMessage, reply: ServerResponse) => {
    void handle(message, reply).catch((error: unknown) => {
      // The client went away in the middle of the answer.
      options.log.debug('a connection ended early', { error });
      reply.destroy();
    });
  });
  const handle = async (message: IncomingMessage, reply: ServerResponse): Promise<void> => {
    const requestId = randomUUID();
    let request: Request | undefined;
    let response: Response;
    try {
      request = await readRequest(message);
      response = await options.answer(request);
    } catch (error) {
      if (message.destroyed && request === undefined) throw error;
      response = errorResponse(error, options.log, requestId);
    }
    if (response.drop) {
      reply.destroy();
      return;
    }
    const correlation = message.headers['x-ms-correlation-request-id'];
    const headers: Record<string, string> = {
      'cache-control': 'no-cache',
      pragma: 'no-cache',
      'x-ms-request-id': requestId,
      'x-ms-correlation-request-id': typeof correlation === 'string' ? correlation : requestId,
      'x-ms-routing-request-id': `LOCAL:${requestId}`,
      'x-content-type-options': 'nosniff',
      ...(request?.segments[0]?.toLowerCase() === 'subscriptions'
        ? options.rateLimits.headersFor(request.method)
        : {}),
      ...echoed(message.headers['x-ms-client-request-id']),
      ...response.headers,
    };
    if (request !== undefined && request.segments[0]?.toLowerCase() === 'subscriptions') {
      for (const log of options.requestLogs) log.add(request, response, headers, options.nowMs());
    }
    await send(reply, message.method ?? 'GET', response, headers);
  };
  const port = await listen(server, options.port);
  return {
    port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function echoed(clientRequestId: string | string[] | undefined): Record<string, string> {
  return typeof clientRequestId === 'string' ? { 'x-ms-client-request-id': clientRequestId } : {};
}

function errorResponse(error: unknown, log: Log, requestId: string): Response {
  if (!(error instanceof ArmError)) log.error('a request broke Local Azure', { requestId, error });
  const answer = error instanceof ArmError ? error : internalError();
  return {
    status: answer.status,
    headers: { 'x-ms-failure-cause': 'gateway', ...answer.headers },
    body: { error: answer.toJSON() },
  };
}

async function send(
  reply: ServerResponse,
  method: string,
  response: Response,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  if (response.file !== undefined) {
    const { path, first, last } = response.file;
    reply.writeHead(response.status, { ...headers, 'content-length': String(last - first + 1) });
    if (method === 'HEAD' || last < first) reply.end();
    else await pipeline(createReadStream(path, { start: first, end: last }), reply);
    return;
  }
  const text = response.raw?.text ?? (response.body === undefined ? '' : JSON.stringify(response.body));
  const type = response.raw?.type ?? 'application/json; charset=utf-8';
  const hasBody = response.status !== 204;
  reply.writeHead(response.status, {
    ...headers,
    ...(text === '' ? {} : { 'content-type': type }),
    ...(hasBody ? { 'content-length': String(Buffer.byteLength(text)) } : {}),
  });
  reply.end(hasBody && method !== 'HEAD' ? text : undefined);
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return reject(error);
      reject(
        new StandbyError({
          code: 'PORT_TAKEN',
          what: `Local Azure cannot listen on its port ${port}: another program has it.`,
          why: 'The port must stay the same over restarts, because clients keep URLs of running operations.',
          next: 'End that program, or start anew: standby local wipe, then standby local up',
          cause: error,
        }),
      );
    });
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      if (typeof address === 'object' && address !== null) resolve(address.port);
    });
  });
}

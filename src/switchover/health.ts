import { request } from 'node:http';
import { connect } from 'node:net';
import type { HealthCheck } from '../model/scenario.ts';

export interface HealthAnswer {
  readonly healthy: boolean;
  readonly found: string;
}

/** Asks the standby once; an answer that is no answer is a finding, not an error. */
export function askHealth(address: string, check: HealthCheck, timeoutMs: number): Promise<HealthAnswer> {
  return check.kind === 'tcp' ? askTcp(address, check.port, timeoutMs) : askHttp(address, check, timeoutMs);
}

export function healthTitle(check: HealthCheck): string {
  return check.kind === 'tcp' ? `TCP port ${check.port}` : `HTTP port ${check.port} ${check.path}`;
}

function askTcp(address: string, port: number, timeoutMs: number): Promise<HealthAnswer> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const end = (healthy: boolean, found: string) => {
      socket.destroy();
      resolve({ healthy, found: `${address}:${port} ${found}` });
    };
    socket.setTimeout(timeoutMs, () => end(false, 'does not answer'));
    socket.once('connect', () => end(true, 'accepts connections'));
    socket.once('error', (error: NodeJS.ErrnoException) => end(false, failureWords(error)));
  });
}

function askHttp(
  address: string,
  check: Extract<HealthCheck, { kind: 'http' }>,
  timeoutMs: number,
): Promise<HealthAnswer> {
  const url = `http://${address}:${check.port}${check.path}`;
  return new Promise((resolve) => {
    const end = (healthy: boolean, found: string) => {
      clearTimeout(limit);
      asking.destroy();
      resolve({ healthy, found: `${url} ${found}` });
    };
    const asking = request(url, { agent: false }, (response) => {
      const status = response.statusCode ?? 0;
      end(status === check.expectStatus, `answers ${status}`);
    });
    // Over all, not only between bytes: a guest that trickles is not healthy.
    const limit = setTimeout(() => end(false, 'does not answer'), timeoutMs);
    asking.once('error', (error: NodeJS.ErrnoException) => end(false, failureWords(error)));
    asking.end();
  });
}

const FAILURE_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refuses the connection',
  ECONNRESET: 'breaks the connection off',
  EHOSTUNREACH: 'cannot be reached',
  ENETUNREACH: 'cannot be reached',
  ETIMEDOUT: 'does not answer',
};

function failureWords({ code, message }: NodeJS.ErrnoException): string {
  const words = code === undefined ? undefined : FAILURE_WORDS[code];
  return words ?? `fails: ${message}`;
}

import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import path from 'node:path';
import { inputError, StandbyError } from '../../src/errors.ts';
import { isObject } from './arm/json.ts';
import { ADMIN_TOKEN_FILE } from './local-azure.ts';

/** Asks the daemon of this folder; its token and its authority lie beside it. */
export async function askDaemon(
  folder: string,
  url: string,
  method: 'GET' | 'POST' | 'DELETE',
  route: string,
  body?: unknown,
): Promise<unknown> {
  const answer = await exchange(new URL(`/_local/${route}`, url), method, {
    ca: readFileSync(path.join(folder, 'ca.crt'), 'utf8'),
    token: readFileSync(path.join(folder, ADMIN_TOKEN_FILE), 'utf8').trim(),
    ...(body === undefined ? {} : { text: JSON.stringify(body) }),
  });
  if (answer.status === 200) return JSON.parse(answer.text);
  const parsed: unknown = answer.text.startsWith('{') ? JSON.parse(answer.text) : undefined;
  if (answer.status === 400 && isObject(parsed)) throw inputError(String(parsed.code), String(parsed.what));
  throw new StandbyError({
    code: 'LOCAL_AZURE_FAILED',
    what: `Local Azure answered ${answer.status}.`,
    next: 'See its log: daemon.log in the folder local-azure of the home folder.',
  });
}

function exchange(
  url: URL,
  method: string,
  options: { readonly ca: string; readonly token: string; readonly text?: string },
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) =>
      reject(
        new StandbyError({
          code: 'LOCAL_AZURE_UNREACHABLE',
          what: `Local Azure does not answer at ${url.origin}.`,
          why: error.message,
          next: 'standby local status',
          cause: error,
        }),
      );
    const headers = { 'x-local-token': options.token, 'content-type': 'application/json' };
    const asking = request(
      url,
      { method, ca: options.ca, headers, timeout: 10_000, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.once('error', fail);
      },
    );
    asking.once('timeout', () => asking.destroy(new Error('no answer within 10 s')));
    asking.once('error', fail);
    asking.end(options.text);
  });
}

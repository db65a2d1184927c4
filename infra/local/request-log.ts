import { appendFileSync } from 'node:fs';
import { isoTime } from '../../src/clock.ts';
import type { Request, Response } from './exchange.ts';

/** One JSON line for each exchange with Azure Resource Manager, secrets taken out; for conformance checks. Off unless asked for. */
export interface RequestLog {
  add(request: Request, response: Response, headers: Readonly<Record<string, string>>, nowMs: number): void;
}

const SECRET_FIELDS =
  /^(client_secret|access_token|value|accesssas|adminpassword|userdata|customdata|keydata|.*bloburi)$/i;
/** `value` is a secret in a list of keys only; in tags, lists and capabilities it is the content. */
const KEYS_PATH = /\/listkeys$/i;

export function makeRequestLog(file: string): RequestLog {
  return {
    add(request, response, headers, nowMs) {
      const isKeys = KEYS_PATH.test(request.path);
      const line = {
        at: isoTime(nowMs),
        method: request.method,
        url: withoutSignature(request.rawUrl),
        requestBody: redacted(parsed(request.bodyText), isKeys),
        status: response.status,
        headers: Object.fromEntries(
          Object.entries(headers).map(([name, value]) => [name, withoutSignature(value)]),
        ),
        body: response.raw?.text ?? redacted(response.body, isKeys),
      };
      appendFileSync(file, `${JSON.stringify(line)}\n`, { mode: 0o600 });
    },
  };
}

function withoutSignature(url: string): string {
  return url.replace(/([?&](?:c|s|h|sig)=)[^&]*/g, '$1REDACTED');
}

function parsed(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return 'not JSON';
    throw error;
  }
}

function redacted(value: unknown, isKeys: boolean): unknown {
  if (Array.isArray(value)) return value.map((entry) => redacted(entry, isKeys));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => {
      const isSecret = typeof inner === 'string' && SECRET_FIELDS.test(name) && (isKeys || name !== 'value');
      return [name, isSecret ? 'REDACTED' : redacted(inner, isKeys)];
    }),
  );
}

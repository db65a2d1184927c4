import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import type { LocalEndpoint } from '../../../infra/local/local-azure.ts';

/** What Local Azure answered, read as a recording is read. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** Requests as they are: no SDK between the recording and Local Azure. */
export interface LocalClient {
  send(
    method: string,
    pathOrUrl: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer>;
  close(): void;
}

export async function openClient(endpoint: LocalEndpoint): Promise<LocalClient> {
  const agent = new Agent({ keepAlive: true, ca: readFileSync(endpoint.caFile) });
  const { hostname, port } = new URL(endpoint.url);
  const exchange = (method: string, path: string, headers: Record<string, string>, text: string) =>
    new Promise<Answer>((resolve, reject) => {
      const asking = request({ hostname, port, path, method, agent, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const plain = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
          resolve({
            status: response.statusCode ?? 0,
            headers: Object.fromEntries(plain),
            body: parsed(Buffer.concat(chunks).toString('utf8')),
          });
        });
      });
      asking.once('error', reject);
      asking.end(text);
    });
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: endpoint.applicationId,
    client_secret: endpoint.clientSecret,
    scope: 'https://management.azure.com/.default',
  });
  const signedIn = await exchange(
    'POST',
    `/${endpoint.tenantId}/oauth2/v2.0/token`,
    { 'content-type': 'application/x-www-form-urlencoded' },
    form.toString(),
  );
  const token = (signedIn.body as { access_token?: string }).access_token ?? '';
  return {
    send(method, pathOrUrl, body, headers = {}) {
      const text = body === undefined ? '' : JSON.stringify(body);
      const path = pathOrUrl.replace(/^https:\/\/[^/]+/, '');
      const all = {
        authorization: `Bearer ${token}`,
        ...(text === '' ? {} : { 'content-type': 'application/json' }),
        ...headers,
      };
      return exchange(method, path, all, text);
    },
    close: () => agent.destroy(),
  };
}

function parsed(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}

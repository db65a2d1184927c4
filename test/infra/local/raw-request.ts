import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import type { Subscription } from './local-subscription.ts';

/** One request as it is, for what no SDK would ever send. */
export async function sendRaw(
  subscription: Pick<Subscription, 'credential' | 'endpoint'>,
  method: string,
  pathOrUrl: string,
): Promise<{ status: number; code: string }> {
  const { token } = await subscription.credential.getToken('https://management.azure.com/.default');
  const { hostname, port } = new URL(subscription.endpoint.url);
  // Not through URL: it would tidy the path up.
  const path = pathOrUrl.replace(subscription.endpoint.url, '');
  return new Promise((resolve, reject) => {
    const options = {
      hostname,
      port,
      path,
      method,
      ca: readFileSync(subscription.endpoint.caFile),
      agent: false,
    };
    const asking = request({ ...options, headers: { authorization: `Bearer ${token}` } }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('end', () => {
        const body = text === '' ? {} : (JSON.parse(text) as { error?: { code?: string } });
        resolve({ status: response.statusCode ?? 0, code: body.error?.code ?? '' });
      });
    });
    asking.once('error', reject);
    asking.end();
  });
}

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** One exchange as Local Azure's request log wrote it down. */
export interface Exchange {
  readonly method: string;
  readonly url: string;
  readonly requestBody?: unknown;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** All files of a folder; exchanges that differ in nothing but names, ids, times and numbers count once. */
export function readTraffic(folder: string): { readonly all: number; readonly distinct: Exchange[] } {
  const distinct = new Map<string, Exchange>();
  let all = 0;
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.jsonl'))) {
    for (const line of readFileSync(path.join(folder, file), 'utf8').split('\n')) {
      if (line === '') continue;
      all += 1;
      const exchange = JSON.parse(line) as Exchange;
      distinct.set(shapeOf(exchange), exchange);
    }
  }
  return { all, distinct: [...distinct.values()] };
}

/** Names of headers count, their values do not; of bodies everything but what is new each time. */
function shapeOf(exchange: Exchange): string {
  const body = JSON.stringify([exchange.requestBody, exchange.body]);
  const plain = `${exchange.url} ${body}`
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, '#')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '#')
    .replace(/[0-9A-F]{2}(-[0-9A-F]{2}){5}/g, '#')
    .replace(/(sig|h|c|s|se|t)=[^&"]*/g, '#')
    .replace(/\d+/g, '#')
    .replace(
      /(resourcegroups|virtualmachines|disks|snapshots|networkinterfaces|publicipaddresses|networksecuritygroups)\/[^/?"]+/gi,
      '$1/#',
    )
    .replace(/"name":"[^"]*"/g, '"name":"#"');
  return `${exchange.method} ${exchange.status} ${Object.keys(exchange.headers).sort().join()} ${plain}`;
}

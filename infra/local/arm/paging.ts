import type { Request, Response } from '../exchange.ts';
import { ArmError } from './arm-error.ts';
import type { JsonObject } from './json.ts';

/** `{value, nextLink}`; the link is the same request with a `$skiptoken`. */
export function pageOf(
  baseUrl: string,
  request: Request,
  items: readonly JsonObject[],
  pageSize: number,
): Response {
  const start = startOf(request.query.get('$skiptoken'), items.length);
  const top = Number(request.query.get('$top') ?? pageSize);
  const size = Math.max(1, Math.min(pageSize, Number.isInteger(top) && top > 0 ? top : pageSize));
  const end = start + size;
  if (end >= items.length) return { status: 200, body: { value: items.slice(start) } };
  const query = new URLSearchParams(request.query);
  query.set('$skiptoken', Buffer.from(`from:${end}`).toString('base64url'));
  const path = request.segments.map(encodeURIComponent).join('/');
  return {
    status: 200,
    body: { value: items.slice(start, end), nextLink: `${baseUrl}/${path}?${query.toString()}` },
  };
}

function startOf(token: string | null, count: number): number {
  if (token === null) return 0;
  const found = /^from:(\d+)$/.exec(Buffer.from(token, 'base64url').toString('utf8'));
  if (found === null)
    throw new ArmError(400, 'InvalidSkipToken', 'The $skiptoken is not one of ours.', '$skiptoken');
  return Math.min(Number(found[1]), count);
}

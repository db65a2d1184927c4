import { createHmac, timingSafeEqual } from 'node:crypto';
import { type Stats, statSync } from 'node:fs';
import path from 'node:path';
import type { Request, Response } from './exchange.ts';

/** Files of the data folder behind signed URLs that end: serial consoles, disk exports. Needs no token, as a SAS does not. */
export interface FileUrls {
  urlOf(pathInDataFolder: string, expiresAtMs: number): string;
  /** Undefined: not a file URL. */
  answer(request: Request): Response | undefined;
}

const PREFIX = '/_files/';

export function makeFileUrls(options: {
  readonly baseUrl: string;
  readonly dataFolder: string;
  readonly secret: Buffer;
  readonly nowMs: () => number;
}): FileUrls {
  const { dataFolder } = options;
  const sign = (text: string) =>
    createHmac('sha256', options.secret).update(`file:${text}`).digest('base64url');
  return {
    urlOf(pathInDataFolder, expiresAtMs) {
      const encoded = pathInDataFolder.split(path.sep).map(encodeURIComponent).join('/');
      const text = `${PREFIX}${encoded}?se=${Math.floor(expiresAtMs)}`;
      return `${options.baseUrl}${text}&sig=${sign(text)}`;
    },
    answer(request) {
      if (!request.rawUrl.startsWith(PREFIX)) return undefined;
      const mark = request.rawUrl.lastIndexOf('&sig=');
      const given = Buffer.from(mark < 0 ? '' : request.rawUrl.slice(mark + 5));
      const wanted = Buffer.from(sign(mark < 0 ? '' : request.rawUrl.slice(0, mark)));
      const isGenuine = mark >= 0 && given.length === wanted.length && timingSafeEqual(given, wanted);
      if (!isGenuine || Number(request.query.get('se')) <= options.nowMs()) {
        return plain(
          403,
          'AuthenticationFailed',
          'Server failed to authenticate the request: signature or time are not valid.',
        );
      }
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        return plain(
          501,
          'NotImplemented',
          `Local Azure does not do this: ${request.method} through the URL of a disk or a log.`,
        );
      }
      const file = path.join(dataFolder, ...request.segments.slice(1));
      if (!file.startsWith(dataFolder + path.sep))
        return plain(403, 'AuthenticationFailed', 'Not a file of ours.');
      const stat = statSync(file, { throwIfNoEntry: false });
      if (stat === undefined || !stat.isFile())
        return plain(404, 'BlobNotFound', 'The specified blob does not exist.');
      return ranged(request, file, stat);
    },
  };
}

function ranged(request: Request, file: string, stat: Stats): Response {
  const sizeBytes = stat.size;
  const header = String(request.headers['x-ms-range'] ?? request.headers.range ?? '');
  const found = /^bytes=(\d+)-(\d*)$/.exec(header);
  const headers = {
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
    // The blob SDK refuses an answer without it.
    etag: `"${stat.size.toString(16)}-${Math.floor(stat.mtimeMs).toString(16)}"`,
    'last-modified': stat.mtime.toUTCString(),
  };
  if (found === null) {
    return { status: 200, headers, file: { path: file, first: 0, last: sizeBytes - 1 } };
  }
  const first = Number(found[1]);
  const last = Math.min(found[2] ? Number(found[2]) : sizeBytes - 1, sizeBytes - 1);
  if (first > last)
    return plain(416, 'InvalidRange', 'The range specified is invalid for the current size of the resource.');
  return {
    status: 206,
    headers: { ...headers, 'content-range': `bytes ${first}-${last}/${sizeBytes}` },
    file: { path: file, first, last },
  };
}

function plain(status: number, code: string, message: string): Response {
  const text = `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  return { status, headers: { 'x-ms-error-code': code }, raw: { type: 'application/xml', text } };
}

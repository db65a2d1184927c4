import type { IncomingMessage } from 'node:http';
import { ArmError } from './arm/arm-error.ts';
import { isObject, type JsonObject } from './arm/json.ts';

/** One HTTP request as the parts of Local Azure see it, and what they answer. */
export interface Request {
  readonly method: string;
  /** As sent: poll URLs and file URLs are verified byte for byte. */
  readonly rawUrl: string;
  /** Decoded, `//` collapsed, without a trailing `/`. */
  readonly path: string;
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly bodyText: string;
}

export interface Response {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Instead of `body`: sent as it is. */
  readonly raw?: { readonly type: string; readonly text: string };
  /** Instead of `body`: bytes first..last of a file. */
  readonly file?: { readonly path: string; readonly first: number; readonly last: number };
  /** No answer at all: the connection ends. */
  readonly drop?: boolean;
}

const BODY_LIMIT_BYTES = 4 * 1024 * 1024;

export async function readRequest(message: IncomingMessage): Promise<Request> {
  const rawUrl = message.url ?? '/';
  const mark = rawUrl.indexOf('?');
  const pathText = mark < 0 ? rawUrl : rawUrl.slice(0, mark);
  const segments = pathText
    .split('/')
    .filter((part) => part !== '')
    .map(decodeSegment);
  return {
    method: message.method ?? 'GET',
    rawUrl,
    path: `/${segments.join('/')}`,
    segments,
    query: lowerCaseNames(new URLSearchParams(mark < 0 ? '' : rawUrl.slice(mark + 1))),
    headers: message.headers,
    bodyText: await readBody(message),
  };
}

/** Query names are case-insensitive in ARM: `$Filter`, `api-Version`. */
function lowerCaseNames(query: URLSearchParams): URLSearchParams {
  return new URLSearchParams(
    [...query].map(([name, value]): [string, string] => [name.toLowerCase(), value]),
  );
}

function decodeSegment(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    if (error instanceof URIError) {
      throw new ArmError(400, 'InvalidRequestUri', `The request URI contains an invalid part '${part}'.`);
    }
    throw error;
  }
}

async function readBody(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > BODY_LIMIT_BYTES) {
      throw new ArmError(
        413,
        'RequestEntityTooLarge',
        `The request is larger than ${BODY_LIMIT_BYTES} bytes.`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The body as an object; an empty body is an empty object. */
export function bodyObject(request: Request): JsonObject {
  if (request.bodyText.trim() === '') return {};
  try {
    const parsed: unknown = JSON.parse(request.bodyText);
    if (isObject(parsed)) return parsed;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new ArmError(
    400,
    'InvalidRequestContent',
    'The request content was invalid and could not be deserialized: a JSON object is expected.',
  );
}

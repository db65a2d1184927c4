import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { isObject } from './json.ts';

/** One exchange with real Azure, as the recorder of azure-cli or of the Java SDK kept it. */
export interface Interaction {
  readonly method: string;
  readonly url: URL;
  readonly requestHeaders: Readonly<Record<string, string>>;
  readonly requestBody: unknown;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
  /** Why it says nothing about Local Azure, where its maker knows. */
  readonly outside?: string;
}

export interface Recording {
  readonly name: string;
  readonly interactions: readonly Interaction[];
}

/** Every recording of a folder, by name, in JSON or as the recorders themselves write it (YAML). A file that is none is an error: it must not vanish from the sum. */
export function readRecordings(folder: string): Recording[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(json|ya?ml)$/.test(file) && path.basename(file) !== 'MANIFEST.json')
    .sort();
  return files.map((file) => readRecording(path.join(folder, file)));
}

function readRecording(file: string): Recording {
  const text = readFileSync(file, 'utf8');
  const parsed: unknown = file.endsWith('.json') ? JSON.parse(text) : parse(text);
  const list = isObject(parsed) ? parsed.interactions : undefined;
  if (!Array.isArray(list)) throw new Error(`${file} is not a recording: it has no list 'interactions'.`);
  return { name: path.parse(file).name, interactions: list.map((each) => interactionOf(file, each)) };
}

function interactionOf(file: string, entry: unknown): Interaction {
  const request = isObject(entry) ? entry.request : undefined;
  const response = isObject(entry) ? entry.response : undefined;
  if (!isObject(request) || !isObject(response) || typeof request.uri !== 'string') {
    throw new Error(`${file} has an interaction without request.uri or response.`);
  }
  return {
    method: String(request.method).toUpperCase(),
    url: new URL(request.uri),
    requestHeaders: headersOf(request.headers),
    requestBody: bodyOf(request.body),
    status: statusOf(response.status),
    headers: headersOf(response.headers),
    body: bodyOf(response.body),
  };
}

/** `202`, `"202"`, or vcr's `{code: 202, message: "Accepted"}`. */
function statusOf(value: unknown): number {
  return Number(isObject(value) ? value.code : value);
}

/** Values may be lists, as vcr writes them. */
function headersOf(value: unknown): Record<string, string> {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      name.toLowerCase(),
      Array.isArray(each) ? each.map(String).join(',') : String(each),
    ]),
  );
}

/** Bodies come as JSON, as text of JSON, or as vcr's `{string: ...}`. */
function bodyOf(value: unknown): unknown {
  const inner = isObject(value) && Object.keys(value).join() === 'string' ? value.string : value;
  if (typeof inner !== 'string') return inner ?? undefined;
  if (inner.trim() === '') return undefined;
  try {
    return JSON.parse(inner);
  } catch (error) {
    if (error instanceof SyntaxError) return inner;
    throw error;
  }
}

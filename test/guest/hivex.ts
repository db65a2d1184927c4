import { createHash } from 'node:crypto';
import type { Hive, HiveKey } from '../../src/guest/hive.ts';
import { run } from './volumes.ts';

/** What hivex reads in a hive, and what our reader does, as the same kind of lines. */
export function linesByHivex(file: string): string[] {
  // It writes to a pipe and not to the socket that a child of Node gets.
  const xml = run('sh', '-c', 'hivexml "$0" | cat', file).replace(
    /<byte_runs>.*?<\/byte_runs>|<mtime>.*?<\/mtime>/g,
    '',
  );
  const lines: string[] = [];
  const path: string[] = [];
  const tags = /<node name="([^"]*)"[^>]*?(\/?)>|<\/node>|<value ([^>]*?)(?:\/>|>(.*?)<\/value>)/g;
  for (const [tag, name, isEmpty, attributes, inner] of xml.matchAll(tags)) {
    if (tag === '</node>') {
      path.pop();
    } else if (attributes === undefined) {
      path.push(decoded(name ?? ''));
      lines.push(path.slice(1).join('\\'));
      if (isEmpty) path.pop();
    } else {
      lines.push(`${path.slice(1).join('\\')} ${valueLine(attributes, inner ?? '')}`);
    }
  }
  return lines.sort();
}

function valueLine(attributes: string, inner: string): string {
  const named = (name: string) => decoded(new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? '');
  const type = named('type');
  if (type === 'string-list') {
    const strings = [...inner.matchAll(/<string>(.*?)<\/string>|<string\/>/g)].map(([, one]) =>
      decoded(one ?? ''),
    );
    return `${named('key')} ${type} ${JSON.stringify(strings.filter((one) => one !== ''))}`;
  }
  const value = type === 'binary' ? hashOf(Buffer.from(named('value'), 'base64')) : named('value');
  return `${named('key')} ${type} ${value}`;
}

function hashOf(bytes: Buffer): string {
  return `${bytes.length} bytes ${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`;
}

function decoded(xml: string): string {
  return xml
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replace(/&#x([0-9A-Fa-f]+);/g, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)))
    .replace(/&#([0-9]+);/g, (_, digits: string) => String.fromCodePoint(Number(digits)))
    .replaceAll('&amp;', '&');
}

const DEPTH_MAX = 64;
const LINES_MAX = 100_000;

export function linesOf(hive: Hive): string[] {
  const lines: string[] = [];
  const walk = (key: HiveKey, path: string) => {
    // A damaged hive may hold a key that is its own descendant; only who walks all of it meets that.
    if (path.split('\\').length > DEPTH_MAX || lines.length > LINES_MAX) return;
    lines.push(path);
    for (const value of hive.values(key)) {
      const head = `${path} ${value.name}`;
      if (value.type === 4 && value.data.length === 4)
        lines.push(`${head} int32 ${value.data.readInt32LE(0)}`);
      else if (value.type === 1) lines.push(`${head} string ${hive.text(key, value.name)}`);
      else if (value.type === 7) {
        lines.push(`${head} string-list ${JSON.stringify(hive.texts(key, value.name))}`);
      } else lines.push(`${head} binary ${hashOf(value.data)}`);
    }
    for (const child of hive.subkeys(key)) walk(child, path === '' ? child.name : `${path}\\${child.name}`);
  };
  walk(hive.root, '');
  return lines.sort();
}

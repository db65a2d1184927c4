import { doubt } from './volume.ts';

/** The text that LVM2 keeps its metadata in: names with values, and sections in braces. */
export type LvmValue = number | string | readonly LvmValue[] | LvmSection;
export interface LvmSection {
  readonly [name: string]: LvmValue;
}

const DEPTH_MAX = 16;
const TOKEN = /\s+|#[^\n]*|"(?:[^"\\]|\\.)*"|-?\d+|[A-Za-z_][\w.+/-]*|[={}[\],]/y;

export function parseLvmText(text: string): LvmSection {
  const tokens = tokensOf(text);
  let at = 0;
  const section = (depth: number): LvmSection => {
    if (depth > DEPTH_MAX) throw doubt('Its LVM metadata is nested too deeply.');
    const values: Record<string, LvmValue> = Object.create(null);
    while (at < tokens.length && tokens[at] !== '}') {
      const name = tokens[at++] ?? '';
      const sign = tokens[at++];
      if (!/^[A-Za-z_]/.test(name)) throw doubt(`Its LVM metadata has ${name} in place of a name.`);
      if (sign === '=') {
        values[name] = value(depth);
      } else if (sign === '{') {
        values[name] = section(depth + 1);
        if (tokens[at++] !== '}') throw doubt('Its LVM metadata is cut off.');
      } else {
        throw doubt(`Its LVM metadata has nothing behind ${name}.`);
      }
    }
    return values;
  };
  const value = (depth: number): LvmValue => {
    const token = tokens[at++] ?? '';
    if (token === '[') {
      const values: LvmValue[] = [];
      if (depth > DEPTH_MAX) throw doubt('Its LVM metadata is nested too deeply.');
      while (at < tokens.length && tokens[at] !== ']') {
        values.push(value(depth + 1));
        if (tokens[at] === ',') at += 1;
      }
      if (tokens[at++] !== ']') throw doubt('Its LVM metadata is cut off.');
      return values;
    }
    if (/^-?\d/.test(token)) return Number(token);
    if (token.startsWith('"')) return token.slice(1, -1).replace(/\\(.)/g, '$1');
    throw doubt(`Its LVM metadata has ${token || 'nothing'} in place of a value.`);
  };
  const whole = section(0);
  if (at < tokens.length) throw doubt('Its LVM metadata has a brace too many.');
  return whole;
}

function tokensOf(text: string): string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  for (let at = 0; at < text.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text)?.[0];
    if (token === undefined) throw doubt('Its LVM metadata has a character that does not belong there.');
    if (!/^[\s#]/.test(token)) tokens.push(token);
  }
  return tokens;
}

export function sectionIn(section: LvmSection, name: string): LvmSection {
  const found = section[name];
  if (found === undefined || typeof found !== 'object' || Array.isArray(found)) {
    throw doubt(`Its LVM metadata has no section ${name}.`);
  }
  return found as LvmSection;
}

export function numberIn(section: LvmSection, name: string): number {
  const found = section[name];
  if (typeof found !== 'number' || !Number.isSafeInteger(found) || found < 0) {
    throw doubt(`Its LVM metadata has no number ${name}.`);
  }
  return found;
}

import type { RegRunner } from '../../src/master/windows/registry.ts';

/**
 * A registry in memory that answers as Microsoft describes reg.exe: 0, or 1 for whatever did not go well; keys by their
 * whole path, values with four spaces around their type. The default value is named in the language of Windows, in the
 * bytes of its console.
 */
const DEFAULT_NAME = { english: '(Default)', japanese: '(\x8a\xf9\x92\xe8)' } as const;

interface MadeUpKey {
  readonly path: string;
  readonly values: Map<string, { readonly name: string; readonly type: string; data: string }>;
}

export class MadeUpRegistry {
  readonly #keys = new Map<string, MadeUpKey>();
  readonly calls: (readonly string[])[] = [];
  language: keyof typeof DEFAULT_NAME = 'english';
  /** Called before something is changed. */
  beforeChange: (args: readonly string[]) => void = () => undefined;
  /** Answered with 1, as to somebody without the rights. */
  readonly forbidden = new Set<string>();

  set(path: string, name?: string, data: number | string = '', type = 'REG_DWORD'): void {
    const parts = path.split('\\');
    for (let count = 1; count <= parts.length; count++) {
      const above = parts.slice(0, count).join('\\');
      if (!this.#keys.has(above.toLowerCase()))
        this.#keys.set(above.toLowerCase(), { path: above, values: new Map() });
    }
    const text = typeof data === 'number' ? `0x${data.toString(16)}` : data;
    const values = this.#keys.get(path.toLowerCase())?.values;
    const key = name?.toLowerCase() ?? '';
    // A value keeps the case of its name.
    if (name !== undefined) values?.set(key, { name: values.get(key)?.name ?? name, type, data: text });
  }

  removeKey(path: string): void {
    const below = `${path}\\`.toLowerCase();
    for (const one of this.#keys.keys()) {
      if (one === path.toLowerCase() || one.startsWith(below)) this.#keys.delete(one);
    }
  }

  /** Everything there is, for comparing. */
  all(): Record<string, string> {
    const found: Record<string, string> = {};
    for (const { path, values } of this.#keys.values()) {
      found[path] = '';
      for (const { name, type, data } of values.values()) found[`${path}: ${name}`] = `${type} ${data}`;
    }
    return found;
  }

  readonly run: RegRunner = async (args) => {
    this.calls.push(args);
    const [verb, path = ''] = args;
    if (verb !== 'query') this.beforeChange(args);
    const key = this.#keys.get(path.toLowerCase());
    if (this.forbidden.has(path.toLowerCase())) return { code: 1, said: '' };
    if (verb === 'query') return key ? { code: 0, said: this.#listing(key) } : { code: 1, said: '' };
    const option = (name: string) => args[args.indexOf(name) + 1] ?? '';
    if (verb === 'add') {
      this.set(path, option('/v'), Number(option('/d')), option('/t'));
      return { code: 0, said: 'done\r\n' };
    }
    return { code: key?.values.delete(option('/v').toLowerCase()) ? 0 : 1, said: '' };
  };

  #listing({ path, values }: MadeUpKey): string {
    const below = [...this.#keys.values()].filter(
      (one) => one.path.slice(0, one.path.lastIndexOf('\\')).toLowerCase() === path.toLowerCase(),
    );
    const lines = [...values.values()].map(({ name, type, data }) => `    ${name}    ${type}    ${data}`);
    const standard = `    ${DEFAULT_NAME[this.language]}    REG_SZ    `;
    const own = lines.length > 0 ? [path, standard, ...lines, ''] : [];
    return `\r\n${[...own, ...below.map((one) => one.path)].join('\r\n')}\r\n`;
  }
}

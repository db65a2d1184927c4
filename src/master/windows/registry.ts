import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { messageOf, StandbyError } from '../../errors.ts';

/**
 * The registry of the Windows that runs, through its own reg.exe: it is on each Windows, and its exit codes and the names
 * of its types are the same in every language, while the rest of what it prints is not, and is not looked at. Promises: a
 * key is said to be absent only where the list of its parent does not name it (reg.exe answers 1 for "not there" and for
 * "not allowed"), and a value is said to be set only after it was read back.
 */
export interface Registry {
  /** Undefined: there is no such key. */
  key(path: string): Promise<RegistryKey | undefined>;
  setNumber(path: string, name: string, number: number): Promise<void>;
  deleteValue(path: string, name: string): Promise<void>;
}

export interface RegistryKey {
  /** By their names in lower case. */
  readonly values: ReadonlyMap<string, RegistryValue>;
  readonly subkeys: readonly string[];
}

export interface RegistryValue {
  readonly name: string;
  /** `REG_DWORD` and the like. */
  readonly type: string;
  readonly data: string;
}

/** Runs reg.exe; it has an exit code, or the promise fails. */
export type RegRunner = (
  args: readonly string[],
) => Promise<{ readonly code: number; readonly said: string }>;

export const SYSTEM_HIVE = 'HKEY_LOCAL_MACHINE\\SYSTEM';
/** Of the account LocalService: nobody may read it without the rights of an administrator. */
const ONLY_FOR_ADMINISTRATORS = 'HKEY_USERS\\S-1-5-19';
const TIMEOUT_MS = 60_000;
const OUTPUT_BYTES_MAX = 8 * 1024 ** 2;

export function regExe(systemRoot: string): RegRunner {
  const program = join(systemRoot, 'System32', 'reg.exe');
  // The code page of the console: names that are looked for are ASCII, in whatever language.
  const options = {
    timeout: TIMEOUT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
    windowsHide: true,
    encoding: 'latin1',
  } as const;
  return (args) =>
    new Promise((resolve, reject) => {
      const child = execFile(program, args, options, (error, said) => {
        if (!error) return resolve({ code: 0, said });
        if (typeof error.code === 'number' && !error.killed) return resolve({ code: error.code, said });
        reject(
          new StandbyError({
            code: 'WINDOWS_TOOL_FAILED',
            what: "Windows' own program reg.exe did not do what it was asked for.",
            why: error.killed ? `It did not end within ${TIMEOUT_MS / 1000} s.` : messageOf(error),
            next: 'Run it by hand, and look what it says: reg query HKLM\\SYSTEM',
            retry: 'later',
            cause: error,
          }),
        );
      });
      child.stdin?.end();
    });
}

export async function isAdministrator(run: RegRunner): Promise<boolean> {
  return (await run(['query', ONLY_FOR_ADMINISTRATORS])).code === 0;
}

export class LiveRegistry implements Registry {
  readonly #run: RegRunner;

  constructor(run: RegRunner) {
    this.#run = run;
  }

  async key(path: string): Promise<RegistryKey | undefined> {
    const { code, said } = await this.#run(['query', path]);
    if (code === 0) return keyIn(said, path);
    const above = path.slice(0, path.lastIndexOf('\\'));
    if (path === SYSTEM_HIVE || above === '') throw unreadable(path, code);
    const parent = await this.key(above);
    const name = path.slice(above.length + 1).toLowerCase();
    if (parent?.subkeys.some((one) => one.toLowerCase() === name)) throw unreadable(path, code);
    return undefined;
  }

  async setNumber(path: string, name: string, number: number): Promise<void> {
    const args = ['add', path, '/v', name, '/t', 'REG_DWORD', '/d', `${number}`, '/f'];
    const { code } = await this.#run(args);
    const found = code === 0 ? numberIn(await this.key(path), name) : undefined;
    if (found !== number) throw unwritten(args, code);
  }

  async deleteValue(path: string, name: string): Promise<void> {
    const args = ['delete', path, '/v', name, '/f'];
    const { code } = await this.#run(args);
    if (code !== 0 || (await this.key(path))?.values.has(name.toLowerCase())) throw unwritten(args, code);
  }
}

/** `other`: there is such a value, and it is no number of 32 bits. */
export function numberIn(key: RegistryKey | undefined, name: string): number | 'other' | undefined {
  const value = key?.values.get(name.toLowerCase());
  if (!value) return undefined;
  return value.type === 'REG_DWORD' && /^0x[0-9a-f]{1,8}$/i.test(value.data) ? Number(value.data) : 'other';
}

/** Lines of values are indented, with four spaces around the type; what stands alone is a key below this one. */
function keyIn(said: string, path: string): RegistryKey {
  const values = new Map<string, RegistryValue>();
  const subkeys: string[] = [];
  const below = `${path}\\`.toLowerCase();
  for (const line of said.split(/\r?\n/)) {
    const [, name, type = '', data = ''] = /^ {4}(.*?) {4}(REG_[A-Z_]+) {4}(.*)$/.exec(line) ?? [];
    if (name !== undefined) values.set(name.toLowerCase(), { name, type, data });
    else if (line.toLowerCase().startsWith(below)) subkeys.push(line.slice(below.length).trim());
  }
  return { values, subkeys };
}

function unreadable(path: string, code: number): StandbyError {
  return new StandbyError({
    code: 'REGISTRY_UNREADABLE',
    what: `${path} cannot be read.`,
    why: `reg.exe ended with ${code}.`,
    next: `Look what it says: reg query "${path}"`,
  });
}

function unwritten(args: readonly string[], code: number): StandbyError {
  const command = args.map((arg) => (arg.includes(' ') ? `"${arg}"` : arg)).join(' ');
  return new StandbyError({
    code: 'REGISTRY_UNWRITTEN',
    what: `A value of the registry was not changed: reg ${command}`,
    why: code === 0 ? 'It reads as it did before.' : `reg.exe ended with ${code}.`,
    next: 'See what guards it (a policy, a security product), and run the same again, or take all of it back: standby master prepare --undo',
  });
}

import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { inputError } from './errors.ts';

/**
 * What the environment says, read once and frozen; nothing else in the project reads process.env.
 * .env.example explains every variable; a test holds the two together.
 */
export interface Config {
  readonly homeFolder: string;
  /** What openStore takes. */
  readonly storeUrl: string;
  readonly keyFile: string;
  /** Protects the secrets in place of the key file. */
  readonly passphrase?: string;
  readonly clientSecret?: string;
  /** What can be made again: the engine's bundle, the demo's kernel. Several homes may share it. */
  readonly cacheFolder: string;
  /** A table of prices in place of ours. */
  readonly pricesFile?: string;
  readonly logLevel: LogLevel;
  /** HOST:PORT where an engine listens; wins over its flag. */
  readonly listen?: string;
  /** Tests only: die at this point of a run, STEP:PHASE. */
  readonly crashAt?: string;
  /** Windows only: the folder of Windows itself. */
  readonly systemRoot?: string;
  readonly color: boolean;
  readonly ci: boolean;
}

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const listen = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, 'must be HOST:PORT, for example 0.0.0.0:25000')
  .refine((text) => Number(text.slice(text.lastIndexOf(':') + 1)) <= 65535, 'must have a port up to 65535');

const crashAt = z
  .string()
  .regex(/^.+:(started|acted|before-done)$/, 'must be STEP:PHASE with phase started, acted or before-done');

const store = z
  .string()
  .refine(
    (text) => /^postgres(ql)?:\/\//.test(text) || !/^[a-z][a-z0-9+.-]+:/i.test(text),
    'must be a postgres:// URL or the path of a SQLite file',
  );

const variables = z.object({
  STANDBY_HOME: z.string().optional(),
  STANDBY_STORE: store.optional(),
  STANDBY_KEY_FILE: z.string().optional(),
  STANDBY_PASSPHRASE: z.string().min(8, 'must have at least 8 characters').optional(),
  STANDBY_CLIENT_SECRET: z.string().optional(),
  STANDBY_CACHE: z.string().optional(),
  STANDBY_PRICES: z.string().optional(),
  STANDBY_LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
  STANDBY_LISTEN: listen.optional(),
  STANDBY_CRASH_AT: crashAt.optional(),
  SYSTEMROOT: z.string().optional(),
  NO_COLOR: z.string().optional(),
  CI: z.string().optional(),
});

export const VARIABLE_NAMES: readonly string[] = Object.keys(variables.shape);

/** `home` is the flag `--home`, which wins. Never shows a value: some are secret. */
export function loadConfig(env: NodeJS.ProcessEnv, overrides: { home?: string } = {}): Config {
  // Set but empty is the same as not set, as a shell's `VARIABLE= command` means it.
  const set = Object.fromEntries(VARIABLE_NAMES.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
  const parsed = variables.safeParse(set);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw inputError(
      'CONFIG_WRONG',
      `The environment variable ${String(issue?.path[0])} ${issue?.message}.`,
      'Correct or unset it; .env.example explains every variable.',
    );
  }
  const values = parsed.data;
  const homeFolder = resolve(overrides.home ?? values.STANDBY_HOME ?? join(homedir(), '.standby'));
  const storeUrl = values.STANDBY_STORE ?? join(homeFolder, 'standby.db');
  return Object.freeze({
    homeFolder,
    storeUrl: storeUrl.startsWith('postgres') || isAbsolute(storeUrl) ? storeUrl : resolve(storeUrl),
    keyFile: resolve(values.STANDBY_KEY_FILE ?? join(homeFolder, 'key')),
    ...optional('passphrase', values.STANDBY_PASSPHRASE),
    ...optional('clientSecret', values.STANDBY_CLIENT_SECRET),
    cacheFolder: resolve(values.STANDBY_CACHE ?? join(homeFolder, 'cache')),
    ...optional('pricesFile', values.STANDBY_PRICES && resolve(values.STANDBY_PRICES)),
    logLevel: values.STANDBY_LOG_LEVEL,
    ...optional('listen', values.STANDBY_LISTEN),
    ...optional('crashAt', values.STANDBY_CRASH_AT),
    ...optional('systemRoot', values.SYSTEMROOT),
    color: values.NO_COLOR === undefined,
    ci: values.CI !== undefined && values.CI !== 'false' && values.CI !== '0',
  });
}

function optional<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { [K in Key]: Value });
}

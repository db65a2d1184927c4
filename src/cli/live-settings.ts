import { resolve } from 'node:path';
import { inputError } from '../errors.ts';
import type { MasterEngineOptions } from '../master/engine.ts';

/** How `standby engine master` follows changes, from its options. Wrong ones are refused before anything is opened. */
export function liveSettings(
  options: Readonly<Record<string, unknown>>,
): Pick<MasterEngineOptions, 'nbd' | 'compare' | 'fence'> {
  const intervalMs = wholeNumber(options.interval, '--interval', 1, 86_400);
  const spoolMib = wholeNumber(options.spool, '--spool', 32, 1024 * 1024);
  const before = commandLine(options.before, '--before');
  const after = commandLine(options.after, '--after');
  const fence = commandLine(options.fence, '--fence');
  const readPaths = pathsOf(options.read);
  const compare = {
    ...(intervalMs === undefined ? {} : { intervalMs: intervalMs * 1000 }),
    ...(before ? { before } : {}),
    ...(after ? { after } : {}),
    ...(readPaths ? { readPaths } : {}),
  };
  const listen = placeOf(options.nbd);
  if (!listen && spoolMib !== undefined) {
    throw inputError(
      'OPTION_ALONE',
      '`--spool` has no meaning without `--nbd`.',
      'Add `--nbd`, or leave it out.',
    );
  }
  const spoolBytes = spoolMib === undefined ? {} : { spoolBytes: spoolMib * 1024 * 1024 };
  return { compare, ...(fence ? { fence } : {}), ...(listen ? { nbd: { listen, ...spoolBytes } } : {}) };
}

function placeOf(value: unknown): { readonly path: string } | { readonly port: number } | undefined {
  if (typeof value !== 'string') return undefined;
  if (/^\d+$/.test(value)) {
    const port = Number(value);
    if (port <= 65535) return { port };
  } else if (value !== '') return { path: resolve(value) };
  throw inputError(
    'NBD_PLACE_WRONG',
    `\`${value}\` is neither a socket's path nor a port.`,
    'Write `--nbd /run/standby/nbd.sock`, or `--nbd 10809`.',
  );
}

function wholeNumber(value: unknown, option: string, least: number, most: number): number | undefined {
  if (value === undefined) return undefined;
  const number = /^\d+$/.test(String(value)) ? Number(value) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw inputError(
    'NUMBER_WRONG',
    `\`${option} ${String(value)}\` cannot be.`,
    `It is a whole number from ${least} to ${most}.`,
  );
}

/** A program and its arguments, split at spaces; quotes keep a word together. */
export function commandLine(value: unknown, option: string): readonly string[] | undefined {
  if (value === undefined) return undefined;
  const words = [...String(value).matchAll(/"([^"]*)"|'([^']*)'|([^\s"']+)/g)].map(
    ([, double, single, plain]) => double ?? single ?? plain ?? '',
  );
  if (words.length > 0 && words[0] !== '') return words;
  throw inputError('COMMAND_WRONG', `\`${option}\` names no program.`, 'Write a program and its arguments.');
}

function pathsOf(value: unknown): Readonly<Record<string, string>> | undefined {
  if (!Array.isArray(value)) return undefined;
  return Object.fromEntries(
    value.map((each) => {
      const [, disk, path] = /^([^=]+)=(.+)$/.exec(String(each)) ?? [];
      if (disk && path) return [disk, path];
      throw inputError(
        'PATH_WRONG',
        `\`--read ${String(each)}\` cannot be.`,
        'Write `--read disk0=/dev/vg/snapshot`.',
      );
    }),
  );
}

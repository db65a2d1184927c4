import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { StandbyError } from '../../src/errors.ts';

/** Runs a system tool and gives its standard output; a missing tool or a failure says which and what it printed. */
export function command(
  file: string,
  args: readonly string[],
  options: {
    readonly cwd?: string;
    readonly signal?: AbortSignal;
    /** Exit codes besides 0 that are an answer, not a failure. */
    readonly alsoFine?: readonly number[];
  } = {},
): Promise<string> {
  const { alsoFine, ...how } = options;
  return new Promise((resolve, reject) => {
    execFile(located(file), [...args], { ...how, maxBuffer: 16 * 1024 ** 2 }, (error, stdout, stderr) => {
      if (!error || alsoFine?.includes(Number(error.code))) return resolve(stdout);
      reject(
        new StandbyError({
          code: 'TOOL_FAILED',
          what: `\`${file} ${args.slice(0, 3).join(' ')} ...\` failed.`,
          why: (stderr || error.message).trim().slice(-400),
          next: 'Run `npm run demo` again: it installs the tools that are missing.',
          cause: error,
        }),
      );
    });
  });
}

/** Ordinary users of Debian do not have /usr/sbin in their PATH, and several disk tools live there. */
function located(file: string): string {
  if (file.includes('/')) return file;
  for (const folder of ['/usr/sbin', '/sbin', '/usr/bin', '/bin']) {
    if (existsSync(join(folder, file))) return join(folder, file);
  }
  return file;
}

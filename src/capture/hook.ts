import { execFile } from 'node:child_process';
import { StandbyError } from '../errors.ts';

const TIMEOUT_MS = 60_000;
const SAID_MAX = 500;

/** Runs a person's command around a consistent view: program and arguments, no shell, with an end in sight. */
export async function runHook(
  which: 'before' | 'after',
  command: readonly string[] | undefined,
  timeoutMs = TIMEOUT_MS,
): Promise<void> {
  const [program, ...args] = command ?? [];
  if (program === undefined) return;
  await new Promise<void>((resolve, reject) => {
    const options = { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 1024 * 1024 } as const;
    execFile(program, args, options, (error, _said, complained) => {
      if (!error) return resolve();
      const ending = error.killed
        ? `It did not end within ${Math.round(timeoutMs / 1000)} s.`
        : `It ended with ${error.code ?? error.signal}.`;
      reject(
        new StandbyError({
          code: 'HOOK_FAILED',
          what: `The command ${which} the consistent view failed: ${program}.`,
          why: `${ending} ${complained.trim().slice(0, SAID_MAX)}`.trim(),
          next: 'Run the command by hand on the master, and mend what it complains about.',
          retry: 'later',
          cause: error,
        }),
      );
    });
  });
}

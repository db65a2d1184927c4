import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import process from 'node:process';
import { messageOf, StandbyError } from '../errors.ts';

/**
 * Starts `standby ARGS` in a session of its own: Ctrl-C, a closed terminal or the end of this process do not reach it.
 * It has our environment, because it opens the same store with the same keys. Resolves when it runs.
 */
export async function startDetached(args: readonly string[], logFile: string): Promise<void> {
  const log = openSync(logFile, 'a', 0o600);
  try {
    const script = process.argv[1] ?? '';
    const child = spawn(process.execPath, [...process.execArgv, script, ...args], {
      detached: true,
      stdio: ['ignore', log, log],
    });
    child.unref();
    await once(child, 'spawn');
  } catch (error) {
    throw new StandbyError({
      code: 'PROCESS_NOT_STARTED',
      what: `No process could be started for \`standby ${args.join(' ')}\`.`,
      why: messageOf(error),
      retry: 'later',
      cause: error,
    });
  } finally {
    closeSync(log);
  }
}

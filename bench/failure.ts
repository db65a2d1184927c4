import { messageOf } from '../src/errors.ts';

/** Words on standard error, and the exit code. */
export function asFailure(error: unknown): number {
  const words = messageOf(error);
  process.stderr.write(`${words}\n`);
  return words.startsWith('interrupted by') ? 130 : 1;
}

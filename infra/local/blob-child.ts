import { createRequire } from 'node:module';
import process from 'node:process';

/**
 * The process around Azurite. Its standard input is a pipe that Local Azure holds: when Local Azure dies in any
 * way, the pipe ends, and Azurite with it. Azurite saves its index on SIGTERM, so it is asked before it is forced.
 */
process.stdin.on('end', () => {
  process.kill(process.pid, 'SIGTERM');
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), 5000);
});
process.stdin.resume();
process.stdin.unref?.();

createRequire(import.meta.url)('azurite/dist/src/blob/main.js');

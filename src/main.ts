import { enableCompileCache } from 'node:module';
import process from 'node:process';
import type { Shell } from './cli/shell.ts';
import { systemClock } from './clock.ts';

/** The only composition root: the process, the folders that src may not import, and the command line meet here. */
const stopping = new AbortController();
const stop = (): void => {
  // The first signal asks politely; a second one finds no handler and ends the process.
  process.off('SIGINT', stop).off('SIGTERM', stop);
  stopping.abort(new DOMException('The process was asked to stop.', 'AbortError'));
};
process.on('SIGINT', stop).on('SIGTERM', stop);

/** Whoever read our lines has gone (`standby status | head`); a run goes on all the same. */
const onStreamError = (error: NodeJS.ErrnoException): void => {
  if (error.code !== 'EPIPE') throw error;
};
process.stdout.on('error', onStreamError);
process.stderr.on('error', onStreamError);

const shell: Shell = {
  argv: process.argv.slice(2),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: stopping.signal,
  clock: systemClock,
  processId: process.pid,
  childEnvironment: Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('STANDBY_')),
  ),
  detach: async (args, logFile) => (await import('./cli/detach.ts')).startDetached(args, logFile),
  die: () => process.kill(process.pid, 'SIGKILL'),
  config: async (home) => {
    const { loadConfig } = await import('./config.ts');
    return loadConfig(process.env, home === undefined ? {} : { home });
  },
  parts: {
    cloud: async (facts) => (await import('../infra/azure/cloud.ts')).makeAzureCloud(facts),
    firstBoot: async (facts) => (await import('../infra/templates/first-boot.ts')).makeFirstBoot(facts),
    local: async (call) => (await import('../infra/local/command.ts')).runLocalCommand(call),
    demo: async (call) => (await import('../infra/demo/demo.ts')).runDemo(call),
    terminalHost: async () => (await import('../wizards/terminal-host.ts')).terminalHost,
    wizards: async () => (await import('../wizards/index.ts')).wizards,
  },
};

/**
 * Reads, writes and syncs of all disks wait in one pool of threads, in which four are the measure of a program that seldom
 * waits for its disk. Here sixteen masters sync at once, and none of them should hold up the reads of the others.
 */
const DISK_THREADS = '16';
process.env.UV_THREADPOOL_SIZE ??= DISK_THREADS;

// Every later start finds the compiled modules, so that the command line answers at once.
enableCompileCache();
const { runCommandLine } = await import('./cli/program.ts');
process.exitCode = await runCommandLine(shell);

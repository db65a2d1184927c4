import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { runCommandLine } from '../../src/cli/program.ts';
import type { Parts, Shell } from '../../src/cli/shell.ts';
import { systemClock } from '../../src/clock.ts';
import { loadConfig } from '../../src/config.ts';
import { wizards } from '../../wizards/index.ts';

export interface Typed {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
  /** Standard output as its JSON documents, one a line; fails when anything else stands there. */
  readonly documents: readonly Readonly<Record<string, unknown>>[];
}

/** The command line in this process: streams instead of a terminal, a home folder of its own, parts that a test gives. */
export class CommandLine {
  readonly home = mkdtempSync(join(tmpdir(), 'standby-cli-'));
  readonly environment: NodeJS.ProcessEnv = {};
  parts: Partial<Parts> = {};

  async type(args: readonly string[], input = ''): Promise<Typed> {
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    const shell: Shell = {
      argv: [...args],
      stdin: Readable.from(input === '' ? [] : [Buffer.from(input)]),
      stdout,
      stderr,
      signal: new AbortController().signal,
      clock: systemClock,
      processId: process.pid,
      childEnvironment: {},
      detach: () => Promise.reject(new Error('This test starts no process')),
      die: () => {
        throw new Error('No test dies here');
      },
      config: async (home) => loadConfig(this.environment, { home: home ?? this.home }),
      parts: {
        cloud: () => Promise.reject(new Error('This test has no cloud')),
        firstBoot: async () => ({ bundle: () => Promise.reject(new Error('no bundle')), userData: () => '' }),
        local: () => Promise.reject(new Error('This test has no Local Azure')),
        demo: () => Promise.reject(new Error('This test has no demo')),
        terminalHost: () => Promise.reject(new Error('This test has no terminal')),
        wizards: async () => wizards,
        ...this.parts,
      },
    };
    const exitCode = await runCommandLine(shell);
    const out = String(stdout.read() ?? '');
    return {
      exitCode,
      out,
      err: String(stderr.read() ?? ''),
      get documents() {
        return out
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line) as Record<string, unknown>);
      },
    };
  }

  remove(): void {
    rmSync(this.home, { recursive: true, force: true });
  }
}

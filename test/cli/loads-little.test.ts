import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const MAIN = join(import.meta.dirname, '../../src/main.ts');

/** Prints every module that was loaded, as the process ends. */
const RECORDER = `
  import { registerHooks } from 'node:module';
  const loaded = [];
  registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
  process.on('exit', () => process.stderr.write(loaded.join('\\n')));
`;

const HEAVY =
  /node_modules\/(?!commander\/)|\/(infra|wizards)\/|\/src\/(control\/store|wire|switchover|verify|config)/;

describe('Asking for the version or for help', () => {
  it.each(['--version', '--help', 'scenario create --help'])('loads nothing heavy: %s', (args) => {
    const recorder = `data:text/javascript,${encodeURIComponent(RECORDER)}`;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', recorder, MAIN, ...args.split(' ')],
      {
        encoding: 'utf8',
      },
    );
    expect(status).toBe(0);
    expect(stdout).not.toBe('');
    expect(stderr).toContain('/src/cli/program.ts');
    expect(stderr.split('\n').filter((url) => HEAVY.test(url))).toEqual([]);
  });
});

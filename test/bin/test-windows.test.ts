import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

describe('npm run test:windows', () => {
  it('says by name what it skips where Wine is missing, and never calls that passed', () => {
    const { status, stdout } = spawnSync(process.execPath, ['bin/test-windows.cjs'], {
      encoding: 'utf8',
      env: { ...process.env, WINE: '/nowhere/wine' },
    });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^skipped: npm run test:windows: Wine is not installed/);
    expect(stdout.trimEnd().split('\n').at(-1)).toBe('0 passed, 0 failed, 1 skipped');
  });
});

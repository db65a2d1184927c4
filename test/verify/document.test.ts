import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { explainedCodes } from '../../src/verify/document.ts';
import { CHECKS } from '../../src/verify/index.ts';
import { CommandLine } from '../cli/shell-fixture.ts';

let line: CommandLine;
beforeEach(() => {
  line = new CommandLine();
});
afterEach(() => line.remove());

describe('docs/VERIFY.md', () => {
  it('is what `standby scenario codes` prints', async () => {
    const { out, exitCode } = await line.type(['scenario', 'codes']);
    expect(exitCode).toBe(0);
    expect(await readFile('docs/VERIFY.md', 'utf8')).toBe(out);
  });

  it('has every code of every check once, each with its cause and its cure', async () => {
    const page = await readFile('docs/VERIFY.md', 'utf8');
    const codes = CHECKS.flatMap((check) => Object.keys(check.codes));
    expect(new Set(codes).size).toBe(codes.length);
    for (const code of [...codes, 'CHECK_COULD_NOT_RUN']) {
      const rows = page.split('\n').filter((row) => row.startsWith(`| ${code} |`));
      expect([code, rows.length, rows[0]?.split('|').length]).toEqual([code, 1, 6]);
    }
    for (const { code, cause, cure } of explainedCodes(CHECKS)) {
      expect([code, cause, cure]).toEqual([
        code,
        expect.stringMatching(/\S.*\.$/),
        expect.stringMatching(/\S.*\.$/),
      ]);
    }
  });
});

describe('standby scenario codes CODE', () => {
  it('explains that one, and knows no other', async () => {
    const { documents } = await line.type(['scenario', 'codes', 'subnet_full', '--json']);
    const cause = expect.stringContaining('fewer free addresses');
    expect(documents).toMatchObject([
      { codes: [{ code: 'SUBNET_FULL', status: 'error', group: 'Network', cause }] },
    ]);
    const unknown = await line.type(['scenario', 'codes', 'NOTHING', '--json']);
    expect([unknown.exitCode, unknown.documents[0]]).toMatchObject([2, { error: { code: 'CODE_UNKNOWN' } }]);
  });
});

import { describe, expect, it } from 'vitest';
import { isAccepted, readExamples } from './replay/examples.ts';
import { reportOf } from './replay/report.ts';
import { replayAll } from './replay/theatre.ts';
import { isSharedAbsent, SPECS_FOLDER, WHY_SKIPPED } from './shared-data.ts';

describe('The x-ms-examples of Microsoft’s specs', () => {
  it.skipIf(isSharedAbsent)(
    `are accepted wherever Local Azure does what they show${WHY_SKIPPED}`,
    async () => {
      const report = reportOf(await replayAll(readExamples(SPECS_FOLDER), isAccepted));
      expect(report.differences).toEqual([]);
      expect(report.comparable).toBeGreaterThan(200);
    },
    300_000,
  );
});

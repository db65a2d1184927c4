import { describe, expect, it } from 'vitest';
import { readRecordings } from './replay/recordings.ts';
import { reportOf } from './replay/report.ts';
import { replayAll } from './replay/theatre.ts';
import { isSharedAbsent, RECORDINGS_FOLDER, WHY_SKIPPED } from './shared-data.ts';

describe('Recordings of real traffic, played against Local Azure', () => {
  it.skipIf(isSharedAbsent)(
    `are answered as Azure answered in at least 95 of 100 interactions${WHY_SKIPPED}`,
    async () => {
      const report = reportOf(await replayAll(readRecordings(RECORDINGS_FOLDER)));
      // A player that finds nothing comparable would agree with everything.
      expect(report.comparable).toBeGreaterThan(700);
      expect(report.agreement).toBeGreaterThanOrEqual(0.98);
      expect(report.differences.filter((each) => each.explanation.startsWith('not explained'))).toEqual([]);
    },
    300_000,
  );
});

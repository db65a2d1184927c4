import { describe, expect, it } from 'vitest';
import { backupNotBefore, backupProblem, clearOfWindow, ranIntoWindow } from '../../src/model/backup.ts';

/** Times of day are this machine's, whatever its zone. */
const at = (hours: number, minutes = 0, day = 15): number => new Date(2030, 0, day, hours, minutes).getTime();
const base = { minutes: 60, keep: 3 };

describe('The time of a backup', () => {
  it.each([
    ['01:00', '02:00-05:00', 'ends as the window begins', undefined],
    ['01:01', '02:00-05:00', 'would run into it', 'overlaps the daily window'],
    ['02:00', '02:00-05:00', 'begins with it', 'overlaps the daily window'],
    ['04:59', '02:00-05:00', 'is inside', 'overlaps the daily window'],
    ['05:00', '02:00-05:00', 'begins as it ends', undefined],
    ['23:30', '23:00-01:00', 'is inside one over midnight', 'overlaps the daily window'],
    ['00:30', '23:00-01:00', 'is inside one over midnight, after it', 'overlaps the daily window'],
    ['22:30', '23:00-01:00', 'would run into one over midnight', 'overlaps the daily window'],
    ['01:00', '23:00-01:00', 'begins as one over midnight ends', undefined],
    ['23:30', '00:00-01:00', 'would run into one of the next day', 'overlaps the daily window'],
    ['24:00', '02:00-05:00', 'is no time', 'Write a time of day'],
    ['00:30', '02:00-02:00', 'beside an empty window', 'two different times'],
    ['00:30', '1-2', 'beside no window', 'two different times'],
    ['00:30', '01:00-00:30', 'beside a window of nearly the whole day', 'no 60 minutes are left'],
  ])('%s beside %s: it %s', (time, window, _why, problem) => {
    const found = backupProblem({ ...base, at: time, window });
    if (problem === undefined) expect(found).toBeUndefined();
    else expect(found).toContain(problem);
  });

  it('is at once, or the next such time of day', () => {
    expect(backupNotBefore(base, at(14, 7))).toBe(at(14, 7));
    expect(backupNotBefore({ ...base, at: '22:30' }, at(14, 7))).toBe(at(22, 30));
    expect(backupNotBefore({ ...base, at: '02:30' }, at(14, 7))).toBe(at(2, 30, 16));
    expect(backupNotBefore({ ...base, at: '14:07' }, at(14, 7))).toBe(at(14, 7));
  });

  it('is the end of the window for one that is asked for in it, or too shortly before it', () => {
    const window = '23:00-01:30';
    expect(clearOfWindow({ ...base, window }, at(21, 59))).toBe(at(21, 59));
    expect(clearOfWindow({ ...base, window }, at(22, 1))).toBe(at(1, 30, 16));
    expect(clearOfWindow({ ...base, window }, at(23, 0))).toBe(at(1, 30, 16));
    expect(clearOfWindow({ ...base, window }, at(0, 10))).toBe(at(1, 30));
    expect(clearOfWindow({ ...base, window }, at(1, 30))).toBe(at(1, 30));
    expect(backupNotBefore({ ...base, window }, at(23, 59))).toBe(at(1, 30, 16));
  });

  it('never lies in the window, for any minute of the day, any window and any length', () => {
    for (const window of ['00:00-06:00', '22:00-02:00', '12:00-12:01', '06:00-05:00'])
      for (const minutes of [1, 30, 60])
        for (let minute = 0; minute < 24 * 60; minute += 7) {
          const nowMs = at(0, minute) + 30_000;
          const begins = clearOfWindow({ ...base, minutes, window }, nowMs);
          expect(begins).toBeGreaterThanOrEqual(nowMs);
          expect(begins - nowMs).toBeLessThan(24 * 3_600_000);
          expect([
            window,
            minutes,
            minute,
            ranIntoWindow({ ...base, minutes, window }, begins, begins + minutes * 60_000),
          ]).toEqual([window, minutes, minute, false]);
          expect(clearOfWindow({ ...base, minutes, window }, begins)).toBe(begins);
        }
  });

  it('shows when a backup took so long that it ran into the window', () => {
    const window = '02:00-05:00';
    expect(ranIntoWindow({ ...base, window }, at(0, 30), at(1, 59))).toBe(false);
    expect(ranIntoWindow({ ...base, window }, at(0, 30), at(2, 1))).toBe(true);
    expect(ranIntoWindow(base, at(0, 30), at(2, 1))).toBe(false);
  });
});

import { describe, expect, it } from 'vitest';
import { tableLines, wrapped } from '../../src/cli/layout.ts';
import { noticePace } from '../../src/cli/plain-host.ts';
import { durationText, progressLine } from '../../src/cli/rendering.ts';
import type { Notice } from '../../src/ports/host.ts';

describe('A line of text', () => {
  it('is broken at words, below its own beginning', () => {
    expect(wrapped('  2. Check that time and disks are as before.', 30)).toEqual([
      '  2. Check that time and disks',
      '     are as before.',
    ]);
    expect(wrapped('Network       nic0: standby-vnet, subnet default', 34)).toEqual([
      'Network       nic0: standby-vnet,',
      '              subnet default',
    ]);
  });

  it('keeps in one piece what is copied', () => {
    const command = `  standby master join ${'t'.repeat(90)} --disk /dev/sda`;
    expect(wrapped(command, 40)).toEqual([command]);
    expect(wrapped('Port 25000 is closed. Next: standby appliance open-port a1', 44)).toEqual([
      'Port 25000 is closed. Next:',
      'standby appliance open-port a1',
    ]);
    const id = `/subscriptions/${'0'.repeat(60)}`;
    expect(wrapped(`${id} is now online.`, 40)).toEqual([id, 'is now online.']);
  });

  it('loses no word, whatever the width', () => {
    const text = 'Warning: * lets everybody knock on port 25000, but a narrow prefix is better: standby help';
    for (let width = 8; width < 100; width += 1) {
      expect(wrapped(text, width).join(' ').split(/ +/)).toEqual(text.split(' '));
    }
  });
});

describe('A table', () => {
  const table: Extract<Notice, { kind: 'table' }> = {
    kind: 'table',
    title: 'Checks',
    columns: ['check', 'result', 'found'],
    rows: [['TCP connect', 'FAILED', '203.0.113.5:25000 refuses: nothing listens there']],
  };

  it('wraps a wide cell in its column', () => {
    expect(tableLines(table, 50)).toEqual([
      'Checks',
      'check        result  found',
      '-----------  ------  -----------------------------',
      'TCP connect  FAILED  203.0.113.5:25000 refuses:',
      '                     nothing listens there',
    ]);
  });

  it('puts below its row what fits beside nothing', () => {
    const id = `/subscriptions/${'0'.repeat(60)}`;
    const wide = { ...table, columns: ['type', 'name', 'id'], rows: [['disks', 'web-disk', id]] };
    expect(tableLines(wide, 50)).toEqual([
      'Checks',
      'type   name',
      '-----  --------',
      'disks  web-disk',
      `  id: ${id}`,
    ]);
  });

  it('is as wide as it likes where nobody wraps', () => {
    expect(tableLines(table)).toHaveLength(4);
  });
});

describe('What goes on, where nothing can be written over', () => {
  it('is told when it changes, and not more often than every ten seconds', () => {
    let now = 0;
    const told: string[] = [];
    const pace = noticePace(
      { now: () => now, sleep: () => Promise.resolve() },
      { progressMs: 2000, activityMs: 10_000 },
    );
    for (; now <= 40_000; now += 1000) {
      // Two things that take turns, as the console and the health check do; then silence.
      const text = now >= 25_000 ? 'quiet' : now % 2000 === 0 ? 'no sign of life' : 'no answer';
      if (pace({ kind: 'activity', id: 'boot', text })) told.push(`${now} ${text}`);
    }
    expect(told).toEqual(['0 no sign of life', '11000 no answer', '22000 no sign of life', '32000 quiet']);
  });

  it('always tells the end of a progress, once', () => {
    const pace = noticePace(
      { now: () => 5, sleep: () => Promise.resolve() },
      { progressMs: 2000, activityMs: 1 },
    );
    const at = (doneBytes: number) =>
      pace({ kind: 'progress', id: 'copy', title: 'Copying', doneBytes, totalBytes: 9, bytesPerSecond: 1 });
    expect([at(1), at(5), at(9), at(9)]).toEqual([true, false, true, false]);
  });
});

describe('Progress', () => {
  it('says no rate and no time left that it does not know', () => {
    const begin = {
      kind: 'progress',
      id: 'c',
      title: 'Copying',
      totalBytes: 1024,
      bytesPerSecond: 0,
    } as const;
    expect(progressLine({ ...begin, doneBytes: 0 })).toBe('Copying 0%, 0 B of 1.0 KiB');
    expect(progressLine({ ...begin, doneBytes: 512, bytesPerSecond: 64, secondsLeft: 7.6 })).toBe(
      'Copying 50%, 512 B of 1.0 KiB, 64 B/s, 8 s left',
    );
    expect(progressLine({ ...begin, doneBytes: 1024, secondsLeft: 0 })).toBe(
      'Copying 100%, 1.0 KiB of 1.0 KiB',
    );
  });

  it('gives durations that carry over', () => {
    expect([999, 59_940, 59_960, 119_700, 3_599_800, 3_725_000].map(durationText)).toEqual([
      '999 ms',
      '59.9 s',
      '1 min 0 s',
      '2 min 0 s',
      '1 h 0 min',
      '1 h 2 min',
    ]);
  });
});

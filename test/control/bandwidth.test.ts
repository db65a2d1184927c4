import { expect, it } from 'vitest';
import { parseSchedule } from '../../src/control/appliance/bandwidth.ts';

it('reads a schedule by hours, over midnight too, and refuses what is none', () => {
  const hours = parseSchedule('8-18=2M, 22-2=1.5k').bytesPerSecondByHour ?? [];
  expect(hours).toHaveLength(24);
  expect(hours.slice(7, 19)).toEqual([0, ...Array.from({ length: 10 }, () => 2_000_000), 0]);
  expect([hours[21], hours[22], hours[23], hours[0], hours[1], hours[2]]).toEqual([
    0, 1500, 1500, 1500, 1500, 0,
  ]);
  expect(parseSchedule('0-24=1G').bytesPerSecondByHour).toEqual(Array.from({ length: 24 }, () => 1e9));
  expect(parseSchedule('0-24=5M,9-17=off').bytesPerSecondByHour?.slice(8, 18)).toEqual([
    ...[5e6, 0, 0, 0, 0, 0, 0, 0, 0, 5e6],
  ]);
  expect(parseSchedule('off')).toEqual({});
  expect(parseSchedule('3-4=off')).toEqual({});
  for (const text of ['', '8-8=1M', '24-3=1M', '1-25=1M', '8-18=0', '8-18=fast', '8-18=-1M', '8=1M']) {
    expect(() => parseSchedule(text)).toThrow('no part of a bandwidth schedule');
  }
});

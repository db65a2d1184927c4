import { inputError } from '../../errors.ts';
import type { Appliance } from '../../model/appliance.ts';
import type { BandwidthSchedule } from '../../wire/control-session.ts';
import type { Context } from '../context.ts';
import { applianceNamed } from './records.ts';

/**
 * How much an appliance may receive from all its masters together, by the hour (UTC). The appliance keeps it and holds
 * to it by itself. A schedule is written as `8-18=2M,18-8=20M`: hours from and to (the end is not part of it, and may lie
 * on the next day), bytes per second with k, M or G (thousands), or `off`; hours that are not named have no limit.
 */
export interface ApplianceBandwidth {
  readonly appliance: Appliance;
  readonly schedule: BandwidthSchedule;
}

export async function applianceBandwidth(
  context: Context,
  name: string,
  scheduleText?: string,
): Promise<ApplianceBandwidth> {
  const schedule = scheduleText === undefined ? undefined : parseSchedule(scheduleText);
  const appliance = await applianceNamed(context, name);
  const session = await context.connect(appliance);
  try {
    if (schedule) await session.setBandwidth(schedule);
    return { appliance, schedule: await session.bandwidth() };
  } finally {
    await session.close();
  }
}

const HOURS = 24;
const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };
const PART = /^(\d{1,2})-(\d{1,2})=(off|(\d+(?:\.\d+)?)([kmg]?))$/i;

export function parseSchedule(text: string): BandwidthSchedule {
  if (text.trim().toLowerCase() === 'off') return {};
  const bytesPerSecondByHour = Array.from({ length: HOURS }, () => 0);
  for (const part of text.split(',')) {
    const [, from = '', to = '', rate = '', number, unit = ''] = PART.exec(part.trim()) ?? [];
    const first = Number(from);
    const end = Number(to);
    if (from === '' || first >= HOURS || end > HOURS || first === end) throw wrongSchedule(part);
    const perSecond = rate.toLowerCase() === 'off' ? 0 : Number(number) * (UNITS[unit.toLowerCase()] ?? 0);
    if (rate.toLowerCase() !== 'off' && perSecond < 1) throw wrongSchedule(part);
    let hour = first;
    do {
      bytesPerSecondByHour[hour] = Math.round(perSecond);
      hour = (hour + 1) % HOURS;
    } while (hour !== end % HOURS);
  }
  return bytesPerSecondByHour.some((rate) => rate > 0) ? { bytesPerSecondByHour } : {};
}

function wrongSchedule(part: string): Error {
  return inputError(
    'SCHEDULE_INVALID',
    `"${part.trim()}" is no part of a bandwidth schedule.`,
    'Write it like 8-18=2M,18-8=20M (hours in UTC, bytes per second), or off.',
  );
}

/** When drills are held, in UTC: `daily 03:00`, `weekly sun 03:00`, `monthly 1 03:00` (day 1 to 28). */
export interface DrillSchedule {
  readonly every: 'day' | 'week' | 'month';
  /** 0 is Sunday; of the month, 1 to 28; 0 when daily. */
  readonly day: number;
  readonly minute: number;
}

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const DAY_MS = 86_400_000;

/** Undefined when it is none. */
export function parseDrillSchedule(text: string): DrillSchedule | undefined {
  const words = text.trim().toLowerCase().split(/\s+/);
  const [kind = '', ...rest] = words;
  const time = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(rest.at(-1) ?? '');
  if (!time) return undefined;
  const minute = Number(time[1]) * 60 + Number(time[2]);
  const [day = ''] = rest;
  if (kind === 'daily' && rest.length === 1) return { every: 'day', day: 0, minute };
  if (kind === 'weekly' && rest.length === 2 && DAYS.includes(day))
    return { every: 'week', day: DAYS.indexOf(day), minute };
  const date = /^\d{1,2}$/.test(day) ? Number(day) : 0;
  if (kind === 'monthly' && rest.length === 2 && date >= 1 && date <= 28)
    return { every: 'month', day: date, minute };
  return undefined;
}

/** The last time at or before now at which a drill was to begin. */
export function lastDrillTimeMs({ every, day, minute }: DrillSchedule, nowMs: number): number {
  for (let back = 0; ; back++) {
    const date = new Date(nowMs - back * DAY_MS);
    const atMs = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate(), 0, minute);
    const fits = every === 'day' || (every === 'week' ? date.getUTCDay() === day : date.getUTCDate() === day);
    if (fits && atMs <= nowMs) return atMs;
  }
}

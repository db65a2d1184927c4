/**
 * Backups of a standby. Times of day are those of the control machine's own clock, as `AT 00:00` is of the server that
 * it is typed on. A backup keeps clear of the daily window: the hours in which other backups of this server run.
 */
export interface BackupSettings {
  /** `HH:MM`: not before the next such time; at once unless told. */
  readonly at?: string;
  /** `HH:MM-HH:MM`, also over midnight. */
  readonly window?: string;
  /** How long a backup may take: it begins only when so much time is left before the window. */
  readonly minutes: number;
  /** The newest so many complete backups stay. */
  readonly keep: number;
}

export const BACKUP_DEFAULTS: BackupSettings = { minutes: 60, keep: 3 };
export const BACKUP_KEEP_MAX = 100;

const DAY_MINUTES = 24 * 60;
export const BACKUP_MINUTES_MAX = DAY_MINUTES / 2;
const MINUTE_MS = 60_000;

/** Minutes since midnight; undefined when it is no time of day. */
function minuteOfDay(text: string): number | undefined {
  const [, hours, minutes] = /^(\d{1,2}):(\d{2})$/.exec(text.trim()) ?? [];
  const of = Number(hours) * 60 + Number(minutes);
  return Number(hours) < 24 && Number(minutes) < 60 ? of : undefined;
}

interface Window {
  readonly from: number;
  readonly to: number;
  readonly length: number;
}

function windowOf(text: string): Window | undefined {
  const [, first = '', last = ''] = /^([\d:]+)\s*-\s*([\d:]+)$/.exec(text.trim()) ?? [];
  const [from, to] = [minuteOfDay(first), minuteOfDay(last)];
  if (from === undefined || to === undefined || from === to) return undefined;
  return { from, to, length: (to - from + DAY_MINUTES) % DAY_MINUTES };
}

/** A backup that begins at that minute of the day and lasts so long is under way during some of the window. */
function overlaps({ from, length }: Window, beginsAt: number, minutes: number): boolean {
  const into = (beginsAt - from + DAY_MINUTES) % DAY_MINUTES;
  return into < length || into + minutes > DAY_MINUTES;
}

export function timeOfDayProblem(text: string): string | undefined {
  return minuteOfDay(text) === undefined ? 'Write a time of day, like 00:30.' : undefined;
}

/** What is wrong with a window for a backup that may take so long. */
export function windowProblem(text: string, minutes: number): string | undefined {
  const window = windowOf(text);
  if (!window) return 'Write two different times of day, like 01:00-05:30.';
  if (window.length + minutes <= DAY_MINUTES) return undefined;
  return `Outside ${text} no ${minutes} minutes are left for a backup.`;
}

/** What is wrong with these settings together; undefined when a backup can keep to them. */
export function backupProblem({ at, window: text, minutes }: BackupSettings): string | undefined {
  const problem =
    (at === undefined ? undefined : timeOfDayProblem(at)) ??
    (text === undefined ? undefined : windowProblem(text, minutes));
  const window = text === undefined ? undefined : windowOf(text);
  const beginsAt = at === undefined ? undefined : minuteOfDay(at);
  if (problem || !window || beginsAt === undefined || !overlaps(window, beginsAt, minutes)) return problem;
  return `A backup at ${at} that may take ${minutes} minutes overlaps the daily window ${text}.`;
}

/** When a backup that is asked for now is to begin. */
export function backupNotBefore(settings: BackupSettings, nowMs: number): number {
  const at = settings.at === undefined ? undefined : minuteOfDay(settings.at);
  return clearOfWindow(settings, at === undefined ? nowMs : nextTime(at, nowMs));
}

/** The same moment, or the end of the window that a backup begun there would meet. */
export function clearOfWindow({ window: text, minutes }: BackupSettings, atMs: number): number {
  const window = text === undefined ? undefined : windowOf(text);
  if (!window) return atMs;
  const at = new Date(atMs);
  const minute = at.getHours() * 60 + at.getMinutes() + at.getSeconds() / 60;
  return overlaps(window, minute, minutes) ? nextTime(window.to, atMs) : atMs;
}

/** It ran into the window all the same, because it took longer than it may. */
export function ranIntoWindow(
  { window: text }: BackupSettings,
  begunAtMs: number,
  endedAtMs: number,
): boolean {
  const window = text === undefined ? undefined : windowOf(text);
  return window !== undefined && nextTime(window.from, begunAtMs) < endedAtMs;
}

/** The next such minute of the day that is not over; now, while it lasts. */
function nextTime(minuteOf: number, nowMs: number): number {
  const at = new Date(nowMs);
  at.setHours(Math.floor(minuteOf / 60), minuteOf % 60, 0, 0);
  if (at.getTime() + MINUTE_MS <= nowMs) at.setDate(at.getDate() + 1);
  return Math.max(at.getTime(), nowMs);
}

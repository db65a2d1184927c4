import { inputError } from '../errors.ts';

/** A time as people type it: `22:30` is the next (or last) such time of this machine's clock; a date without a zone is its own, too. */
export function timeOf(text: string, nowMs: number, which: 'next' | 'last' = 'next'): number {
  const clock = /^(\d{1,2}):(\d{2})$/.exec(text.trim());
  if (clock) return dayTime(text, { hours: Number(clock[1]), minutes: Number(clock[2]) }, nowMs, which);
  const atMs = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?( ?(Z|UTC|[+-]\d{2}:?\d{2}))?)?$/.test(
    text.trim(),
  )
    ? Date.parse(text.trim().replace(' UTC', 'Z').replace(' ', 'T'))
    : Number.NaN;
  if (Number.isFinite(atMs) && isDay(text.trim().slice(0, 10))) return atMs;
  throw notATime(text);
}

/** JavaScript reads the 30th of February as the 2nd of March. */
function isDay(day: string): boolean {
  return new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
}

function dayTime(
  text: string,
  { hours, minutes }: { readonly hours: number; readonly minutes: number },
  nowMs: number,
  which: 'next' | 'last',
): number {
  if (hours > 23 || minutes > 59) throw notATime(text);
  const at = new Date(nowMs);
  at.setHours(hours, minutes, 0, 0);
  if (which === 'next' && at.getTime() <= nowMs) at.setDate(at.getDate() + 1);
  if (which === 'last' && at.getTime() > nowMs) at.setDate(at.getDate() - 1);
  return at.getTime();
}

function notATime(text: string) {
  return inputError(
    'TIME_INVALID',
    `\`${text}\` is no time.`,
    'Write 22:30, 2030-01-15T22:30 (this machine’s zone), 2030-01-15T13:30Z or 2030-01-15 13:30:00 UTC.',
  );
}

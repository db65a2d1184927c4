import type { Notice } from '../ports/host.ts';
import { tableLines, wrapped } from './layout.ts';

/** Notices as lines of text; every host prints them its own way. Without a width (a pipe, a log) nothing is wrapped. */
export function linesOf(notice: Notice, width = Number.POSITIVE_INFINITY): string[] {
  switch (notice.kind) {
    case 'text':
      return notice.text.split('\n').flatMap((line) => wrapped(line, width));
    case 'table':
      return tableLines(notice, width);
    case 'step':
      return wrapped(stepLine(notice), width);
    case 'activity':
      return [activityLine(notice)];
    case 'progress':
      return [progressLine(notice)];
  }
}

const STEP_MARKS = { started: '...', done: 'ok ', failed: 'FAILED', skipped: 'skipped' } as const;

function stepLine(notice: Extract<Notice, { kind: 'step' }>): string {
  const time = notice.ms === undefined ? '' : ` (${durationText(notice.ms)})`;
  const detail = notice.detail ? `: ${notice.detail}` : '';
  return `${STEP_MARKS[notice.status]} ${notice.title}${detail}${time}`;
}

export function activityLine(notice: Extract<Notice, { kind: 'activity' }>): string {
  return `... ${notice.text}`;
}

export function progressLine(notice: Extract<Notice, { kind: 'progress' }>): string {
  const { doneBytes, totalBytes, bytesPerSecond, secondsLeft } = notice;
  const percent = totalBytes === 0 ? 100 : Math.floor((doneBytes / totalBytes) * 100);
  const parts = [`${notice.title} ${percent}%`, `${bytesText(doneBytes)} of ${bytesText(totalBytes)}`];
  if (bytesPerSecond > 0) parts.push(`${bytesText(bytesPerSecond)}/s`);
  if (secondsLeft !== undefined && doneBytes < totalBytes) parts.push(`${secondsText(secondsLeft)} left`);
  return parts.join(', ');
}

/** An estimate: no more exact than it is. */
function secondsText(seconds: number): string {
  return seconds < 60 ? `${Math.max(1, Math.round(seconds))} s` : durationText(seconds * 1000);
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

import type { Notice } from '../ports/host.ts';

/** Notices as lines of text; every host prints them its own way. */
export function linesOf(notice: Notice): string[] {
  switch (notice.kind) {
    case 'text':
      return notice.text.split('\n');
    case 'table':
      return tableLines(notice);
    case 'step':
      return [stepLine(notice)];
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

export function progressLine(notice: Extract<Notice, { kind: 'progress' }>): string {
  const percent = notice.totalBytes === 0 ? 100 : Math.floor((notice.doneBytes / notice.totalBytes) * 100);
  const parts = [
    `${notice.title} ${percent}%`,
    `${bytesText(notice.doneBytes)} of ${bytesText(notice.totalBytes)}`,
    `${bytesText(notice.bytesPerSecond)}/s`,
  ];
  if (notice.secondsLeft !== undefined) parts.push(`${durationText(notice.secondsLeft * 1000)} left`);
  return parts.join(', ');
}

function tableLines(notice: Extract<Notice, { kind: 'table' }>): string[] {
  const rows = [notice.columns, ...notice.rows];
  const widths = notice.columns.map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  const lines = rows.map((row) =>
    widths
      .map((width, column) => (row[column] ?? '').padEnd(width))
      .join('  ')
      .trimEnd(),
  );
  lines.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('  '));
  return notice.title ? [notice.title, ...lines] : lines;
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
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

import type { Outcome } from './contest.ts';
import type { Cost } from './measure.ts';

/** Medians, ratios and goals. What was not measured has no number here. */
export interface Goal {
  readonly of: 'wall' | 'cpu' | 'wire';
  readonly ours: string;
  readonly peer: string;
  /** For `wall`: so many times as fast as the peer. */
  readonly atLeast?: number;
  /** For `cpu` and `wire`: so much of what the peer takes. */
  readonly atMost?: number;
}

export interface Row {
  readonly name: string;
  readonly state: 'measured' | 'absent' | 'failed';
  /** Why it is absent, or its words when it failed. */
  readonly words?: string;
  readonly rounds: number;
  /** Medians. */
  readonly wallMs?: number;
  readonly bestWallMs?: number;
  readonly cpuSeconds?: number;
  readonly wireBytes?: number;
  /** The most memory that any of our engines ever had, in any round. */
  readonly peakBytes?: number;
  /** Medians at moments before the end. */
  readonly laps?: Readonly<Record<string, number>>;
  readonly each?: readonly Cost[];
}

/** Any other figure of a work: its name, unit and value. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

export interface Verdict {
  readonly text: string;
  readonly value: number;
  readonly wanted: number;
  readonly met: boolean;
}

export interface WorkReport {
  readonly title: string;
  readonly conditions: string;
  readonly about: Readonly<Record<string, number | string>>;
  readonly rows: readonly Row[];
  readonly figures: readonly Figure[];
  readonly verdicts: readonly Verdict[];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

export function tableOf(
  title: string,
  conditions: string,
  about: WorkReport['about'],
  outcomes: readonly Outcome[],
  goals: readonly Goal[],
  behind = 'and both ends proven equal',
): WorkReport {
  const rows = outcomes.flatMap((outcome) => rowsOf(outcome, behind));
  return {
    title,
    conditions,
    about,
    rows,
    figures: [],
    verdicts: goals.flatMap((goal) => judge(goal, rows)),
  };
}

function rowsOf({ name, absent, costs, failures }: Outcome, behind: string): Row[] {
  if (absent !== undefined) return [{ name, state: 'absent', words: absent, rounds: 0 }];
  const failed: Row[] = failures.map((words) => ({ name, state: 'failed', words, rounds: 0 }));
  if (costs.length === 0) return failed.slice(0, 1);
  // What we alone do once all is durable is a row of its own: the comparison is of what everybody does.
  const durable = costs.every((laps) => laps.has('durable'));
  const main = rowAt(name, costs, durable ? 'durable' : 'end');
  const rows = durable ? [main, rowAt(`${name}, ${behind}`, costs, 'end')] : [main];
  return [...rows, ...failed.slice(0, 1)];
}

function rowAt(name: string, costs: Outcome['costs'], at: string): Row {
  const each = costs.flatMap((laps) => laps.get(at) ?? []);
  const wires = each.flatMap(({ wireBytes }) => (wireBytes === undefined ? [] : [wireBytes]));
  const peaks = each.flatMap(({ peakBytes }) => (peakBytes === undefined ? [] : [peakBytes]));
  const transferred = costs.flatMap((laps) => laps.get('transferred')?.wallMs ?? []);
  return {
    name,
    state: 'measured',
    rounds: each.length,
    wallMs: median(each.map(({ wallMs }) => wallMs)),
    bestWallMs: Math.min(...each.map(({ wallMs }) => wallMs)),
    cpuSeconds: median(each.map(({ cpuSeconds }) => cpuSeconds)),
    ...(wires.length === 0 ? {} : { wireBytes: median(wires) }),
    ...(peaks.length === 0 ? {} : { peakBytes: Math.max(...peaks) }),
    ...(transferred.length === 0 ? {} : { laps: { transferredMs: median(transferred) } }),
    each,
  };
}

function judge({ of, ours, peer, atLeast, atMost }: Goal, rows: readonly Row[]): Verdict[] {
  const mine = measured(rows, ours, of);
  const theirs = measured(rows, peer, of);
  if (mine === undefined || theirs === undefined) return [];
  if (of === 'wall' && atLeast !== undefined) {
    const value = theirs / mine;
    return [
      { text: `${ours}: so many times as fast as ${peer}`, value, wanted: atLeast, met: value >= atLeast },
    ];
  }
  const value = mine / theirs;
  const wanted = atMost ?? Number.NaN;
  return [{ text: `${ours}: ${of} as a share of ${peer}`, value, wanted, met: value <= wanted }];
}

function measured(rows: readonly Row[], name: string, of: Goal['of']): number | undefined {
  const row = rows.find((one) => one.name === name && one.state === 'measured');
  return of === 'wall' ? row?.wallMs : of === 'cpu' ? row?.cpuSeconds : row?.wireBytes;
}

const MIB = 1024 * 1024;

/** Engines of ours that stay within their memory, whatever they copy. */
export function memoryVerdicts(rows: readonly Row[], limitMib: number): Verdict[] {
  return rows.flatMap(({ name, peakBytes }) => {
    if (peakBytes === undefined) return [];
    const value = peakBytes / MIB;
    return [
      {
        text: `${name}: MiB of memory of the largest engine`,
        value,
        wanted: limitMib,
        met: value <= limitMib,
      },
    ];
  });
}

/** Every goal of every work, in one table. */
export function goalsText(reports: readonly WorkReport[]): string {
  const lines = reports.flatMap(({ title, verdicts }) =>
    verdicts.map((verdict) => `  ${verdictText(verdict)}  [${title}]`),
  );
  const met = reports.flatMap(({ verdicts }) => verdicts).filter((verdict) => verdict.met).length;
  return [`\nGoals: ${met} of ${lines.length} met`, ...lines].join('\n');
}

function verdictText({ text, value, wanted, met }: Verdict): string {
  return `${met ? 'met    ' : 'not met'}  ${text}: ${value.toFixed(2)} (goal ${wanted})`;
}

export function asText(report: WorkReport): string {
  const lines = [`\n${report.title} (${report.conditions})`, `  ${aboutText(report.about)}`];
  if (report.rows.length > 0) {
    lines.push(columns(['', 'wall s', 'best s', 'cpu s', 'wire MiB', 'moved s', 'peak MiB', 'rounds']));
    for (const row of report.rows) lines.push(rowText(row));
  }
  for (const { name, value, unit } of report.figures) lines.push(columns([name, rounded(value), unit]));
  for (const verdict of report.verdicts) lines.push(`  ${verdictText(verdict)}`);
  return lines.join('\n');
}

function rowText(row: Row): string {
  if (row.state !== 'measured') return `  ${row.name.padEnd(NAME)} ${row.state}: ${row.words ?? ''}`;
  const seconds = (ms: number | undefined) => (ms === undefined ? '-' : (ms / 1000).toFixed(2));
  const wire = row.wireBytes === undefined ? '-' : (row.wireBytes / MIB).toFixed(1);
  const cpu = row.cpuSeconds === undefined ? '-' : row.cpuSeconds.toFixed(2);
  const moved = seconds(row.laps?.transferredMs);
  return columns([
    row.name,
    seconds(row.wallMs),
    seconds(row.bestWallMs),
    cpu,
    wire,
    moved,
    row.peakBytes === undefined ? '-' : (row.peakBytes / MIB).toFixed(0),
    String(row.rounds),
  ]);
}

const NAME = 44;

function columns([name = '', ...cells]: readonly string[]): string {
  return `  ${name.padEnd(NAME)}${cells.map((cell) => cell.padStart(10)).join('')}`;
}

function aboutText(about: WorkReport['about']): string {
  return Object.entries(about)
    .map(([name, value]) =>
      name.endsWith('Bytes')
        ? `${name.slice(0, -5)} ${rounded(Number(value) / MIB)} MiB`
        : `${name} ${value}`,
    )
    .join(', ');
}

function rounded(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

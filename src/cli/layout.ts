import type { Notice } from '../ports/host.ts';

/**
 * Words and tables in the width of a terminal. What people copy is never cut: a command that stands on a line of its
 * own, an id, a token or a path stays one piece, however long, and the terminal shows it over several lines.
 */
export function wrapped(line: string, width: number): string[] {
  if (line.length <= width || /^\s+standby /.test(line)) return [line];
  const hanging = ' '.repeat(hangingOf(line, width));
  const lines: string[] = [];
  let current = '';
  for (const piece of piecesOf(line, width - hanging.length)) {
    if (current.trim() !== '' && current.length + piece.trimEnd().length > width) {
      lines.push(current.trimEnd());
      current = `${hanging}${piece.trimStart()}`;
    } else {
      current += piece;
    }
  }
  return [...lines, current.trimEnd()];
}

/** Where the text of a line begins behind its indent, its bullet, its number or its name: `Network       nic0: ...`. */
function hangingOf(line: string, width: number): number {
  const start = /^\s*(?:(?:[-*❯]|\d+\.) |\S+(?: \S+){0,3} {2,})?/.exec(line)?.[0].length ?? 0;
  return start < width / 2 ? start : 0;
}

/** Words with the spaces behind them; a command at the end is one piece as long as it fits into a line. */
function piecesOf(line: string, width: number): readonly string[] {
  const command = /(?<=: )standby [a-z].*$/.exec(line)?.[0] ?? '';
  const whole = command.length <= width ? command : '';
  const words = line.slice(0, line.length - whole.length).match(/\s*\S+\s*?(?=\s|$)|\s+$/g) ?? [];
  return whole ? [...words, whole] : words;
}

type Table = Extract<Notice, { kind: 'table' }>;

/** A column is not made narrower than this to keep the others beside it. */
const COLUMN_MIN = 16;
const GAP = '  ';

/** The rows below their heads. Wide cells are wrapped; a column that cannot be, such as an id, stands below its row. */
export function tableLines(table: Table, width = Number.POSITIVE_INFINITY): string[] {
  const { beside, below, widths } = arranged(table, width);
  const line = (cells: readonly (readonly string[])[]): string[] =>
    Array.from({ length: Math.max(1, ...cells.map((cell) => cell.length)) }, (_, index) =>
      cells
        .map((cell, column) => (cell[index] ?? '').padEnd(widths[column] ?? 0))
        .join(GAP)
        .trimEnd(),
    );
  const cellsOf = (row: readonly string[]) =>
    beside.map((column, index) => wrapped(row[column] ?? '', widths[index] ?? 0));
  const rows = table.rows.flatMap((row) => [
    ...line(cellsOf(row)),
    ...below
      .filter((column) => row[column])
      .map((column) => `${GAP}${table.columns[column]}: ${row[column]}`),
  ]);
  const rule = widths.map((one) => '-'.repeat(one)).join(GAP);
  return [
    ...(table.title ? wrapped(table.title, width) : []),
    ...line(cellsOf(table.columns)),
    rule,
    ...rows,
  ];
}

function arranged(table: Table, width: number) {
  const below: number[] = [];
  for (;;) {
    const beside = table.columns.map((_, column) => column).filter((column) => !below.includes(column));
    const widths = fitting(table, beside, width);
    if (widths) return { beside, below: below.toSorted((a, b) => a - b), widths };
    below.push(beside.toSorted((a, b) => leastOf(table, b) - leastOf(table, a))[0] ?? 0);
  }
}

/** Widths with which these columns stand side by side; undefined when they cannot. */
function fitting(table: Table, beside: readonly number[], width: number): number[] | undefined {
  const widths = beside.map((column) => Math.max(...cellsIn(table, column).map((cell) => cell.length)));
  const least = beside.map((column, index) =>
    Math.min(widths[index] ?? 0, Math.max(leastOf(table, column), COLUMN_MIN)),
  );
  const sum = () => widths.reduce((total, one) => total + one, GAP.length * (widths.length - 1));
  while (sum() > width) {
    const slack = widths.map((one, index) => one - (least[index] ?? 0));
    const widest = slack.indexOf(Math.max(...slack));
    if ((slack[widest] ?? 0) <= 0) return beside.length === 1 ? widths : undefined;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}

/** The longest word of a column. */
function leastOf(table: Table, column: number): number {
  return Math.max(...cellsIn(table, column).flatMap((cell) => cell.split(' ').map((word) => word.length)));
}

function cellsIn(table: Table, column: number): string[] {
  return [table.columns, ...table.rows].map((row) => row[column] ?? '');
}

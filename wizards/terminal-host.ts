import { wrapped } from '../src/cli/layout.ts';
import { activityLine, linesOf, progressLine } from '../src/cli/rendering.ts';
import type { Shell } from '../src/cli/shell.ts';
import type { Host, Notice } from '../src/ports/host.ts';
import { prompt } from './prompt.ts';

/** A person at a terminal: prompts with Back on every screen, and steps with a moving progress line. */
export function terminalHost(
  shell: Pick<Shell, 'stdin' | 'stdout' | 'stderr' | 'signal' | 'clock'>,
  look: { readonly color: boolean } = { color: true },
): Host & { readonly interactive: true } {
  const lines = new MovingLine(shell.stdout);
  return {
    signal: shell.signal,
    interactive: true,
    tell(notice) {
      if (notice.kind === 'progress') lines.move(progressLine(notice), 'stays');
      else if (notice.kind === 'activity') lines.move(activityLine(notice), 'goes');
      else if (notice.kind === 'step' && notice.status === 'started')
        lines.move(`... ${notice.title}`, 'goes');
      else
        lines.print(
          linesOf(notice, widthOf(shell)).map((line) => (look.color ? painted(line, notice) : line)),
        );
    },
    async ask(question) {
      const width = widthOf(shell);
      const before = question.before === undefined ? [] : ['', ...question.before.split('\n')];
      const hint = wrapped(`  ${question.hint ?? ''}`.trimEnd(), width);
      lines.print([
        ...before.flatMap((line) => wrapped(line, width)),
        ...hint.filter((line) => line !== '').map((line) => (look.color ? `${DIM}${line}${PLAIN}` : line)),
      ]);
      return prompt(question, shell, width);
    },
  };
}

function widthOf(shell: Pick<Shell, 'stdout'>): number {
  return shell.stdout.columns ?? 80;
}

/** One line that is written over while something moves; everything else is printed above it. */
class MovingLine {
  private readonly output: Shell['stdout'];
  private shown: 'nothing' | 'stays' | 'goes' = 'nothing';

  constructor(output: Shell['stdout']) {
    this.output = output;
  }

  /** `stays`: what it says last is kept above what comes next; `goes`: it makes room. */
  move(line: string, after: 'stays' | 'goes'): void {
    if (this.shown === 'stays' && after === 'goes') this.output.write('\n');
    this.output.write(`\r\u001b[2K${line.slice(0, (this.output.columns ?? 80) - 1)}`);
    this.shown = after;
  }

  print(lines: readonly string[]): void {
    if (this.shown === 'stays') this.output.write('\n');
    if (this.shown === 'goes') this.output.write('\r\u001b[2K');
    this.shown = 'nothing';
    for (const line of lines) this.output.write(`${line}\n`);
  }
}

const DIM = '\u001b[2m';
const PLAIN = '\u001b[0m';
const COLOURS = { info: '', success: '\u001b[32m', warning: '\u001b[33m', error: '\u001b[31m' } as const;
const STEP_COLOURS = {
  started: DIM,
  done: '\u001b[32m',
  failed: '\u001b[31m',
  skipped: '\u001b[33m',
};

function painted(line: string, notice: Notice): string {
  const colour =
    notice.kind === 'text'
      ? COLOURS[notice.level]
      : notice.kind === 'step'
        ? STEP_COLOURS[notice.status]
        : '';
  return colour ? `${colour}${line}${PLAIN}` : line;
}

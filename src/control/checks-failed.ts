import { StandbyError } from '../errors.ts';
import { openFindings, type Verdict } from '../model/verdict.ts';

/** Checks that stand in the way, with all that they found: `--json` prints the verdicts beside the error. */
export class ChecksFailed extends StandbyError {
  readonly verdicts: readonly Verdict[];

  constructor(
    facts: { readonly code: string; readonly what: string; readonly why: string; readonly next: string },
    verdicts: readonly Verdict[],
  ) {
    super({ ...facts, kind: 'checks' });
    this.verdicts = verdicts;
  }

  override toJSON(): Record<string, unknown> {
    return { ...super.toJSON(), verdicts: this.verdicts };
  }
}

/** Throws when a verdict is an error, or a warning that nobody accepted by its code. */
export function refuseFindings(
  verdicts: readonly Verdict[],
  facts: { readonly scenario: string; readonly accepted: readonly string[]; readonly command: string },
): void {
  const open = openFindings(verdicts, facts.accepted);
  const errors = open.filter((one) => one.status === 'error');
  const warnings = open.filter((one) => one.status === 'warning');
  const [first] = errors;
  if (first) {
    throw new ChecksFailed(
      {
        code: 'CHECKS_FOUND_ERRORS',
        what: `The checks of ${facts.scenario} found ${counted(errors.length, 'error')}.`,
        why: errors.map((one) => `${one.title}: ${one.found}`).join(' '),
        next: first.next ?? 'Put that right, then try again.',
      },
      verdicts,
    );
  }
  if (warnings.length === 0) return;
  throw new ChecksFailed(
    {
      code: 'CHECKS_FOUND_WARNINGS',
      what: `The checks of ${facts.scenario} found ${counted(warnings.length, 'warning')}.`,
      why: warnings.map((one) => `${one.title}: ${one.found}`).join(' '),
      next: `Put it right, or accept it by name: ${facts.command} ${codesOf(warnings)
        .map((code) => `--accept ${code}`)
        .join(' ')}`,
    },
    verdicts,
  );
}

export function codesOf(verdicts: readonly Verdict[]): readonly string[] {
  return [...new Set(verdicts.map((one) => one.code))];
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

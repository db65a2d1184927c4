import type { Verdict } from '../model/verdict.ts';
import type { Notice } from '../ports/host.ts';

const WORDS = { ok: 'passed', warning: 'WARNING', error: 'FAILED', skipped: 'skipped' } as const;

/** What checks found, for people: `skipped` never reads as passed, and what to do stands below. */
export function verdictNotices(title: string, verdicts: readonly Verdict[]): readonly Notice[] {
  const open = verdicts.filter((one) => one.status === 'error' || one.status === 'warning');
  return [
    {
      kind: 'table',
      title,
      columns: ['check', 'result', 'found'],
      rows: verdicts.map((one) => [one.title, WORDS[one.status], one.found]),
    },
    ...open
      .filter((one) => one.next !== undefined)
      .map((one) => ({
        kind: 'text' as const,
        level: one.status === 'error' ? ('error' as const) : ('warning' as const),
        text: `${one.title} (${one.code}): ${one.next}`,
      })),
  ];
}

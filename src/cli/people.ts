import type { Verdict } from '../model/verdict.ts';
import type { Notice } from '../ports/host.ts';
import type { Call } from './command.ts';

/** What checks found, for people. */
export async function tellAll(call: Call, title: string, verdicts: readonly Verdict[]): Promise<void> {
  const { verdictNotices } = await import('../control/verdict-table.ts');
  for (const notice of verdictNotices(title, verdicts)) call.host.tell(notice);
}

export function done(call: Call, text: string): void {
  call.host.tell({ kind: 'text', level: 'success', text });
}

export function note(call: Call, text: string): void {
  call.host.tell({ kind: 'text', level: 'info', text });
}

export function warn(call: Call, text: string): void {
  call.host.tell({ kind: 'text', level: 'warning', text });
}

/** A list; an empty one says what to do about it. */
export function listing(
  call: Call,
  empty: string,
  table: Omit<Extract<Notice, { kind: 'table' }>, 'kind'>,
): void {
  if (table.rows.length === 0) note(call, empty);
  else call.host.tell({ kind: 'table', ...table });
}

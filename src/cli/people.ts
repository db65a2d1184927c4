import type { Verdict } from '../model/verdict.ts';
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

import type { Call } from './command.ts';
import { cancelled } from './failure.ts';

/**
 * Goes on after a yes, or with `--yes`; anything else is a cancellation. `cautious`: Enter alone says no, because what
 * goes cannot be had again.
 */
export async function confirmed(
  call: Call,
  message: string,
  { cautious }: { readonly cautious?: true } = {},
): Promise<void> {
  if (call.yes) return;
  const answer = await call.host.ask(
    { name: 'yes', kind: 'confirm', message, ...(cautious ? { cautious } : {}), noFlag: { from: '--yes' } },
    {},
  );
  if (answer.kind !== 'value' || (answer.value !== true && answer.value !== 'yes')) throw cancelled();
}

import { accountQuestions } from '../control/account-questions.ts';
import { problemOf } from '../control/screen.ts';
import type { Call } from './command.ts';
import { cancelled } from './failure.ts';

/** Asks for a client secret on a terminal; without one the host says how it comes instead. */
export async function gatherSecret(call: Call): Promise<string> {
  const question = accountQuestions().find((one) => one.name === 'clientSecret');
  if (!question) throw new Error('The account has no question for its client secret.');
  for (;;) {
    const answer = await call.host.ask(question, {});
    if (answer.kind === 'back') throw cancelled();
    if (problemOf(question, answer.value) === undefined) return String(answer.value);
  }
}

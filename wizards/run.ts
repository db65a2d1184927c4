import type { WizardStart } from '../src/cli/shell.ts';
import { timeText } from '../src/clock.ts';
import { ChecksFailed, codesOf } from '../src/control/checks-failed.ts';
import type { Context } from '../src/control/context.ts';
import { proposeSync, type RunReport, runScenario, type SyncMode, syncSentence } from '../src/control/run.ts';
import { verdictNotices } from '../src/control/verdict-table.ts';
import { chooseScenario } from './scenario.ts';
import { gather, leftTheWizard, tellError } from './wizard.ts';

/** Copies the master. What the checks find stands first; a person may accept warnings by name. */
export async function runWizard(context: Context, start: WizardStart): Promise<RunReport> {
  const { host } = context;
  const name = String(start.preset.scenario ?? '') || (await chooseScenario(context));
  const options = {
    ...(typeof start.preset.lanes === 'number' ? { lanes: start.preset.lanes } : {}),
    ...(typeof start.preset.startAtMs === 'number' ? { startAtMs: start.preset.startAtMs } : {}),
    ...(start.preset.compression === 'none' ? { compression: 'none' as const } : {}),
  };
  const accept = [...(start.accept ?? [])];
  const sync = await askHowToSynchronise(context, name, start);
  for (;;) {
    try {
      const report = await runScenario(context, name, { ...options, ...sync, accept });
      host.tell({ kind: 'text', level: 'success', text: resultText(report) });
      return report;
    } catch (error) {
      if (!(error instanceof ChecksFailed)) throw error;
      for (const notice of verdictNotices('Checks', error.verdicts)) host.tell(notice);
      if (!host.interactive || error.code !== 'CHECKS_FOUND_WARNINGS') throw error;
      accept.push(...(await askToAccept(context, error)));
    }
  }
}

function resultText({
  scenario: { name },
  status: { state, synchronisedAtMs: at, seen },
}: RunReport): string {
  const since = at === undefined ? '' : ` since ${timeText(at)}`;
  if (state === 'synchronised') return `${name} is synchronised${since}, not replicating (at rest).`;
  const position = seen ? `, at position ${seen.appliedSequence}` : '';
  return `${name} is ${state}${position}. Both ends were equal at ${at === undefined ? 'an unknown time' : timeText(at)}. Look: standby status ${name} --watch`;
}

/** Both modes, with the one that history proposes first and why (X1). Nobody is asked where there is no choice. */
async function askHowToSynchronise(
  context: Context,
  name: string,
  { preset }: WizardStart,
): Promise<{ readonly sync?: SyncMode }> {
  const given = preset.sync;
  if (given === 'volume' || given === 'block') return { sync: given };
  if (!context.host.interactive) return {};
  const proposed = await proposeSync(context, name);
  if (!proposed || proposed.mode === 'stream') return {};
  const answers = await gather(
    context.host,
    [
      {
        name: 'sync',
        question: () => ({
          name: 'sync',
          kind: 'select',
          message: 'How to synchronise',
          before: syncSentence(proposed),
          default: proposed.mode,
          choices: [
            { value: 'volume', label: 'volume-level: all used data is sent; best the first time' },
            { value: 'block', label: 'block-level: both ends are compared, differing blocks are sent' },
          ],
        }),
      },
    ],
    {},
  );
  return answers.sync === proposed.mode ? {} : { sync: answers.sync as SyncMode };
}

async function askToAccept(context: Context, error: ChecksFailed): Promise<readonly string[]> {
  tellError(context.host, error);
  const codes = codesOf(error.verdicts.filter((one) => one.status === 'warning'));
  const answer = await context.host.ask(
    {
      name: 'accept',
      kind: 'confirm',
      message: `Accept ${codes.join(', ')} and go on? (kept with your name and the time)`,
      default: false,
    },
    {},
  );
  if (answer.kind === 'back' || (answer.value !== true && answer.value !== 'yes')) throw leftTheWizard();
  return codes;
}

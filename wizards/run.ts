import type { WizardStart } from '../src/cli/shell.ts';
import { timeText } from '../src/clock.ts';
import { ChecksFailed, codesOf } from '../src/control/checks-failed.ts';
import type { Context } from '../src/control/context.ts';
import { type RunReport, runScenario } from '../src/control/run.ts';
import { verdictNotices } from '../src/control/verdict-table.ts';
import { chooseScenario } from './scenario.ts';
import { leftTheWizard, tellError } from './wizard.ts';

/** Copies the master. What the checks find stands first; a person may accept warnings by name. */
export async function runWizard(context: Context, start: WizardStart): Promise<RunReport> {
  const { host } = context;
  const name = String(start.preset.scenario ?? '') || (await chooseScenario(context));
  const options = {
    ...(typeof start.preset.lanes === 'number' ? { lanes: start.preset.lanes } : {}),
    ...(start.preset.compression === 'zstd' ? { compression: 'zstd' as const } : {}),
  };
  const accept = [...(start.accept ?? [])];
  for (;;) {
    try {
      const report = await runScenario(context, name, { ...options, accept });
      const at = report.status.synchronisedAtMs;
      host.tell({
        kind: 'text',
        level: 'success',
        text: `${name} is ${report.status.state}${at === undefined ? '' : ` since ${timeText(at)}`}, not replicating (at rest).`,
      });
      return report;
    } catch (error) {
      if (!(error instanceof ChecksFailed)) throw error;
      for (const notice of verdictNotices('Checks', error.verdicts)) host.tell(notice);
      if (!host.interactive || error.code !== 'CHECKS_FOUND_WARNINGS') throw error;
      accept.push(...(await askToAccept(context, error)));
    }
  }
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

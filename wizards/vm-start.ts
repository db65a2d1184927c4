import type { WizardStart } from '../src/cli/shell.ts';
import { timeText } from '../src/clock.ts';
import type { Context } from '../src/control/context.ts';
import { reportNotices } from '../src/control/switchover.ts';
import { proposeVmStart, startVm, type VmReport } from '../src/control/vm.ts';
import { chooseScenario } from './scenario.ts';
import { confirmScreen, gatherConfirmed } from './wizard.ts';

/** The standby of a stopped scenario, from its copied disks as they are (G-82: the latest system status). */
export async function vmStartWizard(context: Context, start: WizardStart): Promise<VmReport> {
  const { host } = context;
  const name = String(start.preset.scenario ?? '') || (await chooseScenario(context));
  const { bootWaitMs } = start.preset;
  const request = typeof bootWaitMs === 'number' ? { bootWaitMs } : {};
  const proposal = await proposeVmStart(context, name, request);
  if (proposal.makes.length > 0) {
    host.tell({
      kind: 'table',
      title: `Starting the VM of ${proposal.scenario.name} makes this in ${proposal.scenario.vm.resourceGroup}:`,
      columns: ['type', 'name'],
      rows: proposal.makes.map(({ type, name: resource }) => [type, resource]),
    });
  }
  const at = proposal.status.synchronisedAtMs;
  const point = at === undefined ? 'as they are' : `as they were at ${timeText(at)}`;
  const confirm = confirmScreen({
    message: `Start it from the copied disks, ${point} (latest system status)?`,
    needs: [],
  });
  await gatherConfirmed(host, [confirm], { preset: {}, yes: start.yes });
  const outcome = await startVm(context, proposal);
  if (outcome.report) for (const notice of reportNotices(outcome.report)) host.tell(notice);
  return outcome;
}

import type { WizardStart } from '../src/cli/shell.ts';
import {
  addOwnAppliance,
  type OwnAppliance,
  ownApplianceQuestions,
} from '../src/control/appliance/records.ts';
import type { Context } from '../src/control/context.ts';
import { screensOf } from '../src/control/screen.ts';
import { gather } from './wizard.ts';

/** Adds a server of one's own as an appliance and makes its one-time enrolment. */
export async function applianceAddWizard(context: Context, start: WizardStart): Promise<OwnAppliance> {
  const screens = screensOf(['name', 'address', 'port'], () => ownApplianceQuestions());
  const answers = await gather(context.host, screens, start.preset);
  return addOwnAppliance(context, {
    name: String(answers.name),
    address: String(answers.address),
    ...(typeof answers.port === 'number' ? { port: answers.port } : {}),
  });
}

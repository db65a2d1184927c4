import type { WizardStart } from '../src/cli/shell.ts';
import { timeText } from '../src/clock.ts';
import type { Context } from '../src/control/context.ts';
import { type JoinOffer, listMasters, offerMaster } from '../src/control/master.ts';
import { type Screen, textOf } from '../src/control/screen.ts';
import { isStandbyError } from '../src/errors.ts';
import { applianceScreen } from './open-port.ts';
import { gather, leftTheWizard, tellError } from './wizard.ts';

const LOOK_EVERY_MS = 2_000;

export interface MasterOutcome extends JoinOffer {
  /** Who came in while the person waited. */
  readonly joined: readonly string[];
}

/** Makes a join token, shows what to type on the master, and on a terminal waits until somebody has come in. */
export async function masterWizard(context: Context, start: WizardStart): Promise<MasterOutcome> {
  const { host } = context;
  const appliance = { ...applianceScreen(context), name: 'appliance' };
  const screen: Screen = {
    ...appliance,
    question: async (answers) => ({
      ...(await applianceScreen(context).question(answers)),
      name: 'appliance',
      message: 'Appliance that the master will send to',
    }),
  };
  const answers = await gather(host, [screen], start.preset);
  const offer = await offerMaster(context, { appliance: textOf(answers.appliance) });
  host.tell({
    kind: 'text',
    level: 'info',
    text: [
      `Type this on the master. It works once, until ${timeText(offer.expiresAtMs)}:`,
      '',
      `  standby master join ${offer.tokenText} --disk /dev/sdX`,
      '',
      'Name every disk (a device or an image file) with its own --disk, the system disk first.',
    ].join('\n'),
  });
  if (!host.interactive || start.yes) {
    host.tell({
      kind: 'text',
      level: 'info',
      text: 'When it waits there, let it in here: standby master list',
    });
    return { ...offer, joined: [] };
  }
  return { ...offer, joined: await waitForMaster(context, offer) };
}

/** Looks every two seconds; Ctrl-C ends the waiting, and the token stays good for its hour. */
async function waitForMaster(context: Context, offer: JoinOffer): Promise<readonly string[]> {
  const { host, clock } = context;
  host.tell({
    kind: 'text',
    level: 'info',
    text: 'Waiting for the master ... (Ctrl-C: stop waiting; the token stays good)',
  });
  while (clock.now() < offer.expiresAtMs) {
    try {
      const { joined, problems } = await listMasters(context, { appliance: offer.appliance.name });
      for (const problem of problems) host.tell({ kind: 'text', level: 'warning', text: problem });
      if (joined.length > 0) {
        host.tell({
          kind: 'text',
          level: 'success',
          text: `${joined.join(', ')} joined. Start its engine there: standby engine master`,
        });
        return joined;
      }
    } catch (error) {
      if (!isStandbyError(error) || error.kind === 'cancelled') throw error;
      tellError(host, error);
    }
    await clock.sleep(LOOK_EVERY_MS, host.signal).catch(() => {
      throw leftTheWizard(
        'Stopped waiting. The token stays good; let the master in later: standby master list',
      );
    });
  }
  host.tell({ kind: 'text', level: 'warning', text: 'Nobody came in within the hour. Make a new token.' });
  return [];
}

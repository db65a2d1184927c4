import type { Wizards } from '../src/cli/shell.ts';

/** Every wizard; src/cli starts them by name, on a terminal and unattended alike. Each is loaded at its first use. */
export const wizards: Wizards = {
  account: async (context, start) => (await import('./account.ts')).accountWizard(context, start),
  appliance: async (context, start) => (await import('./appliance.ts')).applianceWizard(context, start),
  'appliance-add': async (context, start) =>
    (await import('./appliance-add.ts')).applianceAddWizard(context, start),
  'open-port': async (context, start) => (await import('./open-port.ts')).openPortWizard(context, start),
  master: async (context, start) => (await import('./master.ts')).masterWizard(context, start),
  scenario: async (context, start) => (await import('./scenario.ts')).scenarioWizard(context, start),
  'scenario-edit': async (context, start) =>
    (await import('./scenario.ts')).scenarioEditWizard(context, start),
  run: async (context, start) => (await import('./run.ts')).runWizard(context, start),
  switchover: async (context, start) => (await import('./switchover.ts')).switchoverWizard(context, start),
  'vm-start': async (context, start) => (await import('./vm-start.ts')).vmStartWizard(context, start),
  'main-menu': async (context) => (await import('./main-menu.ts')).mainMenu(context),
};

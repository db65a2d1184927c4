import type { Check, Finding } from '../check.ts';
import { ok, skipped, wrong } from '../check.ts';

/** The appliance's VM exists and runs. At switchover sealing it answers that question itself. */
export const applianceRunning: Check = {
  id: 'appliance-running',
  title: 'Appliance runs',
  moments: ['create', 'run'],
  async run({ appliance, region }): Promise<readonly Finding[]> {
    if (!appliance?.azure) return [skipped('APPLIANCE_POWER_UNKNOWN', 'it is not a VM that Azure knows')];
    const machine = await region.applianceMachine();
    if (!machine) {
      const found = `The VM of appliance "${appliance.name}" is gone (${appliance.azure.vmId}).`;
      return [wrong('APPLIANCE_GONE', found, 'a VM', 'Deploy it again: standby appliance deploy')];
    }
    if (machine.power !== 'running') {
      const found = `The VM of appliance "${appliance.name}" is ${machine.power ?? 'in an unknown power state'}.`;
      return [wrong('APPLIANCE_NOT_RUNNING', found, 'running', 'Start that VM in Azure, then verify again.')];
    }
    return [ok('APPLIANCE_RUNS', `"${appliance.name}" is running`)];
  },
};

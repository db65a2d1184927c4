import type { Check, Finding } from '../check.ts';
import { error, ok, skipped, unseen, wrong } from '../check.ts';

/** The appliance's VM exists and runs. At switchover sealing it answers that question itself. */
export const applianceRunning: Check = {
  id: 'appliance-running',
  title: 'Appliance runs',
  group: 'Appliance',
  uses: ['machines.instance'],
  codes: {
    APPLIANCE_POWER_UNKNOWN: unseen(
      'The appliance is not a VM that Azure knows.',
      'Nothing, if it is a server of your own.',
    ),
    APPLIANCE_GONE: error('Somebody deleted the VM of the appliance.', '`standby appliance deploy`.'),
    APPLIANCE_NOT_RUNNING: error('The VM of the appliance is stopped or deallocated.', 'Start it in Azure.'),
  },
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

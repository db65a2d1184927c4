import { type Check, doubtful, type Finding, ok, skipped, unseen, warning } from '../check.ts';
import { sameName } from '../region.ts';
import { bytesText, liveState } from '../replica-state.ts';

/** Each change is written twice, to the journal and to the replica. */
const WRITES_OF_A_CHANGE = 2;

/** The disks of the appliance's size carry the changes that were measured. */
export const applianceSpeed: Check = {
  id: 'appliance-speed',
  title: 'Disk throughput of the appliance',
  group: 'Appliance',
  moments: ['run', 'watch'],
  uses: ['machines.instance', 'catalogue.sizes'],
  codes: {
    DISKS_TOO_SLOW: warning(
      'The size of the appliance VM limits its disks to less than the changes need; the replica falls behind.',
      'Give the appliance a larger size.',
    ),
    SPEED_UNKNOWN: unseen(
      'There is no stream to measure, or Azure does not tell what the size can do.',
      'Nothing.',
    ),
  },
  async run(facts): Promise<readonly Finding[]> {
    const state = await liveState(facts);
    if ('nothing' in state) return [skipped('SPEED_UNKNOWN', state.nothing)];
    const machine = await facts.region.applianceMachine();
    const sizes = await facts.region.sizes();
    const size = sizes.find((one) => machine !== undefined && sameName(one.name, machine.size));
    if (size?.diskBytesPerSecond === undefined)
      return [skipped('SPEED_UNKNOWN', 'what its size can do is not known')];
    const needed = state.live.bytesPerSecond * WRITES_OF_A_CHANGE;
    const figures = `${size.name} carries ${bytesText(size.diskBytesPerSecond)}/s, ${bytesText(needed)}/s needed`;
    if (needed <= size.diskBytesPerSecond) return [ok('DISKS_FAST_ENOUGH', figures)];
    return [
      doubtful(
        'DISKS_TOO_SLOW',
        `${figures}.`,
        `${bytesText(needed)}/s or more`,
        'Give the appliance a larger size.',
      ),
    ];
  },
};

import { type Check, type Finding, skipped, unseen } from '../check.ts';

/** A drill's subnet is really isolated, the last drill was not long ago, and nothing of it is left. */
export const drill: Check = {
  id: 'drill',
  title: 'Drill',
  group: 'Replication',
  uses: [],
  codes: {
    DRILL_NONE: unseen(
      'The scenario has no drill: no subnet for one, and none was ever held.',
      'Nothing that can be put right here; a switchover has not been proven for this scenario.',
    ),
  },
  async run(): Promise<readonly Finding[]> {
    return [skipped('DRILL_NONE', 'no drill has been held, and no isolated subnet is set for one')];
  },
};

import { type Check, type Finding, skipped, unseen } from '../check.ts';

/** The sizes, zones and regions to fall back on when Azure has no room; each would be judged by itself. */
export const ladder: Check = {
  id: 'ladder',
  title: 'Capacity ladder',
  group: 'Capacity',
  uses: [],
  codes: {
    LADDER_NONE: unseen(
      'The scenario names one size and zone and nothing to fall back on.',
      'Nothing; should Azure have no room for the size, choose another one then.',
    ),
  },
  async run({ scenario }): Promise<readonly Finding[]> {
    return [skipped('LADDER_NONE', `nothing to fall back on is set for ${scenario.vm.size}`)];
  },
};

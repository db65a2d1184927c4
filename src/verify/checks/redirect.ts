import { type Check, type Finding, skipped, unseen } from '../check.ts';

/** People are sent to the standby: the record exists, may be changed, and the script can be run. */
export const redirect: Check = {
  id: 'redirect',
  title: 'Redirection of users',
  group: 'Redirect',
  uses: [],
  codes: {
    REDIRECT_NONE: unseen(
      'The scenario names no DNS record and no script.',
      'Plan how users get to the new address: after a switchover it must be changed by hand.',
    ),
  },
  async run(): Promise<readonly Finding[]> {
    return [skipped('REDIRECT_NONE', 'the scenario names no DNS record and no script to redirect users')];
  },
};

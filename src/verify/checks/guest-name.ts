import { carriesOurTag } from '../../model/tags.ts';
import { type Check, doubtful, type Finding, ok, skipped, unseen, warning } from '../check.ts';
import { sameName } from '../region.ts';

/** The name on the master's disk does not live twice: two servers of one name fight over DNS, domains and licences. */
export const guestName: Check = {
  id: 'guest-name',
  title: 'Name inside the guest',
  group: 'Names',
  uses: ['machines.list'],
  codes: {
    GUEST_NAME_ALIVE: warning(
      'Another VM of the subscription calls itself by the host name of the master.',
      'Stop or rename it before a switchover, or accept it.',
    ),
    GUEST_NAME_UNKNOWN: unseen('The master is not known here.', 'See the finding about the master.'),
  },
  async run({ scenario, inventory, region }): Promise<readonly Finding[]> {
    if (!inventory) return [skipped('GUEST_NAME_UNKNOWN', 'the master is not known')];
    const { hostName } = inventory;
    const short = hostName.split('.')[0] ?? hostName;
    const twins = (await region.machines()).filter(
      (machine) =>
        machine.computerName !== undefined &&
        sameName(machine.computerName.split('.')[0] ?? '', short) &&
        !carriesOurTag(machine.tags, scenario.id),
    );
    if (twins.length === 0) return [ok('GUEST_NAME_FREE', `no other VM calls itself "${hostName}"`)];
    return twins.map((twin) =>
      doubtful(
        'GUEST_NAME_ALIVE',
        `The VM "${twin.name}" in "${twin.resourceGroup}" calls itself "${twin.computerName}", as the master does.`,
        'no other server of that name',
        'Stop or rename that VM before a switchover.',
      ),
    );
  },
};

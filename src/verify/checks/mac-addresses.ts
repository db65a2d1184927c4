import type { Check, Finding } from '../check.ts';
import { doubtful, ok, warning } from '../check.ts';

/** Azure gives a NIC its own MAC: what is bound to one of the master's does not work on the standby. */
export const macAddresses: Check = {
  id: 'mac-addresses',
  title: 'MAC addresses',
  group: 'Network',
  uses: [],
  codes: {
    MACS_STAY: warning(
      'The MAC addresses of the master do not follow: the NICs of the standby have those that Azure gives them.',
      'Have the keys of software whose licence is bound to a MAC at hand, and accept it.',
    ),
  },
  moments: ['create'],
  async run({ inventory }): Promise<readonly Finding[]> {
    const macs = (inventory?.nics ?? []).flatMap(({ name, mac }) => (mac ? [`${name} ${mac}`] : []));
    if (macs.length === 0) return [ok('MACS_UNKNOWN', 'the master tells of none')];
    const next = 'Have the keys of software whose licence is bound to a MAC at hand, and accept it.';
    return [doubtful('MACS_STAY', macs.join(', '), 'no licence that is bound to them', next)];
  },
};

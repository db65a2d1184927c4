import type { StatusView } from '../control/status.ts';
import type { Notice } from '../ports/host.ts';
import { bytesText } from './rendering.ts';

/** Where a scenario stands, for people. */
export function statusNotices(view: StatusView): readonly Notice[] {
  const { scenario, copy, disks } = view;
  const rows = [
    ['Scenario', scenario.name],
    ['State', view.sentence],
    ['Product', 'HA (switchover by hand)'],
    ['Server type', `full system, ${scenario.purpose === 'migration' ? 'migration' : 'disaster recovery'}`],
    ['Is-alive', view.isAliveWanted ? 'off (wanted, but a master copied at rest is not pinged)' : 'off'],
    ['Data at risk', 'not measured: the master is copied at rest and not being replicated'],
  ];
  if (copy) {
    rows.push(['Looked at', `${bytesText(copy.doneBytes)} of ${bytesText(copy.totalBytes)}`]);
    rows.push(['Sent data', `${bytesText(copy.sentBytes)} (${bytesText(copy.wireBytes)} on the wire)`]);
    rows.push(['Sent again', `${copy.resentBlocks} blocks`]);
  }
  return [
    {
      kind: 'text',
      level: 'info',
      text: rows.map(([title = '', value = '']) => `${title.padEnd(14)}${value}`).join('\n'),
    },
    {
      kind: 'table',
      columns: ['disk', 'size', 'digest on both ends'],
      rows: disks.map((disk) => [disk.diskId, bytesText(disk.sizeBytes), disk.digest ?? '-']),
    },
  ];
}

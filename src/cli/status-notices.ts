import { timeText } from '../clock.ts';
import type { StatusView } from '../control/status.ts';
import { isAliveText } from '../control/status-words.ts';
import { isLiveCapture } from '../model/capture.ts';
import type { Notice } from '../ports/host.ts';
import { bytesText, durationText } from './rendering.ts';

/** Where a scenario stands, for people. */
export function statusNotices(view: StatusView): readonly Notice[] {
  const { scenario, copy, live } = view;
  const rows = [
    ['Scenario', scenario.name],
    ['State', view.sentence],
    ['Product', 'HA (switchover by hand)'],
    ['Server type', `full system, ${scenario.purpose === 'migration' ? 'migration' : 'disaster recovery'}`],
    ['Capture', scenario.capture],
    ['Is-alive', isAliveRow(view)],
    ...(live ? liveRows(view, live) : [['Data at risk', riskWithoutStream(view)]]),
  ];
  if (view.masterBeside) rows.push(['Master', BESIDE[view.masterBeside]]);
  rows.push(...verifiedRow(view.status), drillRow(view.status));
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
    diskTable(view),
  ];
}

const BESIDE: Readonly<Record<NonNullable<StatusView['masterBeside']>, string>> = {
  heard: 'HEARD: two servers may be up under one name. See to it that it stays off the network',
  told: 'its engine is heard, and is told to keep it off the network',
  away: 'not heard: nothing dials the appliance',
  unknown: 'not known: the appliance does not answer',
};

function riskWithoutStream({ scenario, status }: StatusView): string {
  if (['switched-over', 'failing-back'].includes(status.state))
    return 'UNPROTECTED: the standby is the server now, and nothing replicates it';
  if (!isLiveCapture(scenario.capture))
    return 'not measured: the master is copied at rest and not being replicated';
  return 'not known: nothing has been copied yet';
}

function isAliveRow({ scenario, status, isAlive, isAliveWanted, live }: StatusView): string {
  if (!isAliveWanted) return 'off';
  if (isAlive === 'off') return 'off (wanted, but the master is copied at rest)';
  const found = status.isAliveFound;
  const ways = isAliveText(scenario);
  if (!found) return `${ways}: not tried yet${live ? ' (standby serve does it)' : ''}`;
  if (isAlive === 'unknown' && found.state !== 'unknown')
    return `${ways}: not tried since ${timeText(found.atMs)} (standby serve does it)`;
  if (found.state === 'unknown') return `cannot be tried: ${found.found}`;
  return `${isAlive === 'alive' ? 'alive' : 'SILENT'} since ${timeText(found.sinceMs)} (${found.found})`;
}

function verifiedRow({ verified }: StatusView['status']): Row[] {
  if (!verified) return [];
  const { findings, atMs } = verified;
  const found = findings.map(({ code, status }) => `${code} (${status})`).join(', ');
  return [['Verified', `${timeText(atMs)}: ${found === '' ? 'nothing found' : found}`]];
}

function drillRow({ drilled }: StatusView['status']): Row {
  return ['Last drill', drilled ? `${timeText(drilled.atMs)}: ${drilled.outcome}` : 'none was held'];
}

type Live = NonNullable<StatusView['live']>;
type Row = [string, string];

function liveRows(view: StatusView, live: Live): Row[] {
  const { replication } = view;
  const rows: Row[] = [
    ['Data at risk', riskText(live)],
    ['Received', positionText(live.receivedSequence, live.receivedAtMs)],
    ['Applied', positionText(live.appliedSequence, live.appliedAtMs)],
  ];
  if (replication) rows.push(...replicationRows(replication));
  if (view.nextScrubAtMs !== undefined)
    rows.push(['Next scrub', `${timeText(view.nextScrubAtMs)}, by standby serve`]);
  if (!live.old) return rows;
  const heard = live.appliance === 'silent' ? live.silentSinceMs : live.masterHeardAtMs;
  rows.push(['Figures', heard === undefined ? 'nothing was heard yet' : `OLD: of ${timeText(heard)}`]);
  return rows;
}

function riskText({ rpoSeconds, rpoBytes, trend, old }: Live): string {
  if (rpoSeconds === null && rpoBytes === null) return 'not known';
  const parts = [
    ...(rpoSeconds === null ? [] : [durationText(rpoSeconds * 1000)]),
    ...(rpoBytes === null ? [] : [old ? `${bytesText(rpoBytes)} known` : bytesText(rpoBytes)]),
  ];
  const how = old
    ? 'at most, as nothing was heard since'
    : `${trend === 'unknown' ? 'trend not known yet' : trend}`;
  return `${parts.join(', ')} (${how})`;
}

function positionText(sequence: string | undefined, atMs: number | undefined): string {
  if (sequence === undefined) return 'not known';
  return `position ${sequence}${atMs === undefined ? '' : `, ${timeText(atMs)} by the master's clock`}`;
}

function replicationRows({ stream, journal, proof, ...rest }: NonNullable<StatusView['replication']>): Row[] {
  const { state, reason, usedBytes, limitBytes, unappliedChanges } = journal;
  const full = state === 'ready' ? '' : ` - ${state.toUpperCase()}${reason ? `: ${reason}` : ''}`;
  const rows: Row[] = [
    ['Rate', `${bytesText(rest.bytesPerSecond)}/s, ${bytesText(rest.receivedBytes)} received`],
    [
      'Journal',
      `${bytesText(usedBytes)} of ${bytesText(limitBytes)}, ${unappliedChanges} changes to apply${full}`,
    ],
    ['Rewind', rewindText(journal)],
    ['Last proof', rest.proving ? `${proofText(proof)}; both ends are being compared` : proofText(proof)],
  ];
  if (!stream) return rows;
  const order =
    stream.mode === 'ordered'
      ? 'in order'
      : `order lost (${stream.reason ?? 'no reason given'}): comes as one set`;
  const dirty = stream.dirtyBytes > 0 ? `, ${bytesText(stream.dirtyBytes)} to be read again` : '';
  rows.unshift([
    'Master',
    `${order}; spool ${bytesText(stream.spooledBytes)} of ${bytesText(stream.spoolLimitBytes)}${dirty}`,
  ]);
  return rows;
}

export function rewindText(journal: NonNullable<StatusView['replication']>['journal']): string {
  const { rewindFromMs, rewindBytes, rewindLimitMs, rewindLimitBytes, rewindShrunkAtMs } = journal;
  const back =
    rewindFromMs > 0
      ? `back to ${timeText(rewindFromMs)} (${bytesText(rewindBytes)})`
      : 'nothing to go back to yet';
  if (rewindLimitMs === undefined || rewindLimitBytes === undefined) return back;
  if (rewindLimitMs === 0 || rewindLimitBytes === 0) return 'off: nothing is kept to go back to';
  const kept = `kept: ${durationText(rewindLimitMs)}, ${bytesText(rewindLimitBytes)} at most`;
  return rewindShrunkAtMs === undefined
    ? `${back}; ${kept}`
    : `${back}; ${kept}, but SMALLER since ${timeText(rewindShrunkAtMs)}: the journal's space ran short`;
}

function proofText(proof: NonNullable<StatusView['replication']>['proof']): string {
  if (!proof) return 'none yet';
  return `${proof.equal ? 'equal' : 'DIFFERENT'} at position ${proof.sequence}, ${timeText(proof.atMs)}`;
}

function diskTable({ disks, live }: StatusView): Notice {
  if (!live) {
    return {
      kind: 'table',
      columns: ['disk', 'size', 'digest on both ends'],
      rows: disks.map((disk) => [disk.diskId, bytesText(disk.sizeBytes), disk.digest ?? '-']),
    };
  }
  return {
    kind: 'table',
    columns: ['disk', 'size', 'position', 'at risk', 'digest of the last proof'],
    rows: disks.map((disk) => [
      disk.diskId,
      bytesText(disk.sizeBytes),
      disk.position ?? '-',
      diskRiskText(disk),
      disk.differingBytes === undefined
        ? (disk.digest ?? '-')
        : `${bytesText(disk.differingBytes)} differ from byte ${disk.firstDifferingByte}`,
    ]),
  };
}

function diskRiskText({ rpoSeconds, rpoBytes }: StatusView['disks'][number]): string {
  const parts = [
    ...(rpoSeconds === undefined ? [] : [durationText(rpoSeconds * 1000)]),
    ...(rpoBytes === undefined ? [] : [bytesText(rpoBytes)]),
  ];
  return parts.join(', ') || '-';
}

/** One line, for a log that is followed. */
export function statusLine(view: StatusView, atMs: number): string {
  const { live, replication, status } = view;
  if (!live) return `${timeText(atMs)} ${view.sentence}`;
  return [
    `${timeText(atMs)} ${status.state}${live.old ? ' (old figures)' : ''}`,
    `position ${live.appliedSequence ?? '?'}`,
    `at risk ${riskText(live)}`,
    ...(replication
      ? [
          `${bytesText(replication.bytesPerSecond)}/s`,
          `spool ${bytesText(replication.stream?.spooledBytes ?? 0)}`,
          `journal ${bytesText(replication.journal.usedBytes)}`,
        ]
      : [live.silentBecause ?? 'nothing is known']),
  ].join('; ');
}

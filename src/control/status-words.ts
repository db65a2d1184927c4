import { timeText } from '../clock.ts';
import type { IsAliveSettings, Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { RunRecord } from '../plan/plan.ts';
import type { LiveFigures } from './live-figures.ts';

/** Where a scenario stands, in one honest sentence. */
export function sentenceOf(status: ScenarioStatus, unfinished: readonly RunRecord[]): string {
  const at = status.synchronisedAtMs === undefined ? undefined : timeText(status.synchronisedAtMs);
  const [run] = unfinished;
  const goOn = run ? `; the ${run.kind} ${run.id} is not finished: standby resume ${run.id}` : '';
  switch (status.state) {
    case 'synchronised':
      return `synchronised at ${at ?? 'an unknown time'}, not replicating (at rest)${goOn}`;
    case 'stopped': {
      const standby =
        status.standbyVmId === undefined ? '' : `; its standby VM exists: ${status.standbyVmId}`;
      const copies = at === undefined ? 'nothing has been copied yet' : `the copied disks are those of ${at}`;
      return `stopped, ${copies}${standby}${goOn}`;
    }
    case 'switched-over':
      return `switched over; the standby is ${status.standbyVmId ?? 'not known'}`;
    default:
      return `${status.state}${status.reason ? `: ${status.reason}` : ''}${goOn}`;
  }
}

/** The same of a scenario with a live capture method, with what its appliance says. */
export function liveSentence(
  status: ScenarioStatus,
  live: LiveFigures,
  unfinished: readonly RunRecord[],
): string {
  const at = replicaText(status, live);
  const [run] = unfinished;
  const goOn = run ? `; the ${run.kind} ${run.id} is not finished: standby resume ${run.id}` : '';
  switch (status.state) {
    case 'replicating':
      return `${followingText(status, live)}; ${at}${goOn}`;
    case 'stopped': {
      if (status.synchronisedAtMs === undefined) return sentenceOf(status, unfinished);
      const why = status.maintenanceSinceMs === undefined ? 'stopped' : 'stopped for maintenance';
      const reason = status.reason === undefined ? '' : ` (${status.reason})`;
      return `${why}${reason}, UNPROTECTED since ${timeText(status.sinceMs)}; ${at}${goOn}`;
    }
    case 'resync-needed':
      return `resync-needed: ${status.reason ?? 'the reason is not known'}; ${at}${goOn}`;
    default:
      return `${status.state}${status.reason ? `: ${status.reason}` : ''}${goOn}`;
  }
}

function followingText(status: ScenarioStatus, live: LiveFigures): string {
  if (live.appliance === 'silent') {
    const since = live.silentSinceMs === undefined ? '' : `, last heard at ${timeText(live.silentSinceMs)}`;
    return `replicating as far as is known: the appliance does not answer${since} (${live.silentBecause})`;
  }
  if (live.master === 'away') {
    const since = live.masterHeardAtMs === undefined ? '' : ` since ${timeText(live.masterHeardAtMs)}`;
    const planned = status.maintenanceSinceMs === undefined ? '' : ' (maintenance)';
    return `the master is away${since}${planned}: what it does is not replicated until it is back`;
  }
  if (live.says !== undefined && live.says !== 'replicating') {
    return `should be replicating, but the appliance says ${live.says}`;
  }
  return live.old ? 'replicating, but the master says nothing of its changes' : 'replicating';
}

function replicaText(status: ScenarioStatus, live: LiveFigures): string {
  if (live.appliedSequence === undefined) {
    const at = status.synchronisedAtMs;
    return at === undefined ? 'nothing whole is on the replica' : `the replica was equal at ${timeText(at)}`;
  }
  const at = live.appliedAtMs === undefined ? '' : ` of ${timeText(live.appliedAtMs)} by the master's clock`;
  return `the replica is at position ${live.appliedSequence}${at}${live.old ? ', when last heard' : ''}`;
}

/** Off is off. */
export function isWatched({ ping, tcpPort, script }: IsAliveSettings): boolean {
  return ping || tcpPort !== undefined || script !== undefined;
}

export function isAliveText({ isAlive }: Pick<Scenario, 'isAlive'>): string {
  const { ping, tcpPort, script, address } = isAlive;
  const ways = [
    ...(ping ? ['ping'] : []),
    ...(tcpPort === undefined ? [] : [`TCP port ${tcpPort}`]),
    ...(script ? [`script ${script[0]}`] : []),
  ];
  if (ways.length === 0) return 'off';
  return `${ways.join(', ')}${address === undefined ? '' : ` at ${address}`}`;
}

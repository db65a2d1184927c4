import { isLiveCapture } from '../../model/capture.ts';
import {
  type Check,
  type CheckFacts,
  doubtful,
  error,
  type Finding,
  ok,
  skipped,
  unseen,
  warning,
  wrong,
} from '../check.ts';
import { bytesText, durationText, liveState } from '../replica-state.ts';

const RPO_MS = 5 * 60_000;
const COPY_AGE_MS = 7 * 86_400_000;

/** How much of the master's work a switchover now would lose. */
export const replication: Check = {
  id: 'replication',
  title: 'What a switchover would lose',
  group: 'Replication',
  moments: ['watch', 'switchover'],
  uses: [],
  codes: {
    RESYNC_NEEDED: error(
      'The replica has lost its place in the changes of the master and does not follow any more.',
      '`standby run`.',
    ),
    REPLICATION_FAILED: error(
      'The copy or the replication ended with an error.',
      'See the reason, then `standby run`.',
    ),
    RPO_HIGH: warning(
      'The replica is more than five minutes behind its master.',
      'Look at the line and at the load of both ends; `standby status`.',
    ),
    COPY_OLD: warning('The last copy at rest is over a week old.', '`standby run`, or replicate live.'),
    NOTHING_COPIED: unseen('The scenario has not been run.', '`standby run`.'),
    SWITCHED_OVER: unseen(
      'The standby is live, so nothing of the master is replicated.',
      '`standby status`; a copy of the master begins after `standby vm stop --remove`.',
    ),
    REPLICATION_UNKNOWN: unseen('The appliance did not answer.', 'See the findings about the appliance.'),
  },
  async run(facts): Promise<readonly Finding[]> {
    const { scenario, status } = facts;
    if (status?.state === 'switched-over')
      return [skipped('SWITCHED_OVER', 'the standby is live; the master is not followed')];
    if (!status?.synchronisedAtMs) return [skipped('NOTHING_COPIED', 'nothing has been copied yet')];
    if (status.state === 'resync-needed') return [resync(facts, status.reason)];
    return isLiveCapture(scenario.capture) ? live(facts) : [atRest(facts, status.synchronisedAtMs)];
  },
};

/** At switchover the old replica may be all there is: then it is told, and does not stand in the way. */
function resync({ scenario, moment }: CheckFacts, reason: string | undefined): Finding {
  const judge = moment === 'switchover' ? doubtful : wrong;
  const found = `The replica does not follow its master any more${reason ? `: ${reason}` : '.'}`;
  return judge('RESYNC_NEEDED', found, 'replicating', `standby run ${scenario.name}`);
}

function atRest({ scenario, clock }: CheckFacts, synchronisedAtMs: number): Finding {
  const ageMs = clock.now() - synchronisedAtMs;
  const found = `the copy at rest is ${durationText(ageMs)} old`;
  if (ageMs <= COPY_AGE_MS) return ok('COPY_AGE', `${found}; what the master did since would be lost`);
  const next = `standby run ${scenario.name}`;
  return doubtful(
    'COPY_OLD',
    `${found}; all that the master did since would be lost.`,
    'less than a week',
    next,
  );
}

async function live(facts: CheckFacts): Promise<readonly Finding[]> {
  const { scenario } = facts;
  const state = await liveState(facts);
  if ('nothing' in state) return [skipped('REPLICATION_UNKNOWN', state.nothing)];
  const { progress } = state;
  if (progress.state === 'resync-needed') return [resync(facts, progress.error?.what)];
  if (progress.state === 'failed') {
    const found = `It ended with an error: ${progress.error?.what ?? 'no reason was given'}`;
    return [
      wrong(
        'REPLICATION_FAILED',
        found,
        'replicating',
        progress.error?.next ?? `standby run ${scenario.name}`,
      ),
    ];
  }
  const { lagSeconds, lagBytes } = state.live;
  if (lagSeconds === undefined) return [skipped('REPLICATION_UNKNOWN', 'how far it is behind is not known')];
  const behind = `${durationText(lagSeconds * 1000)}${lagBytes === undefined ? '' : ` (${bytesText(lagBytes)})`} behind`;
  if (lagSeconds * 1000 <= RPO_MS) return [ok('RPO_LOW', behind)];
  const found = `The replica is ${behind}.`;
  return [doubtful('RPO_HIGH', found, `${durationText(RPO_MS)} at most`, `standby status ${scenario.name}`)];
}

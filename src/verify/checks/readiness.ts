import { isStandbyError, messageOf } from '../../errors.ts';
import type { Readiness } from '../../model/readiness.ts';
import type { Verdict } from '../../model/verdict.ts';
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
import { replicaState } from '../replica-state.ts';

/**
 * Whether the server would start from its replica. At switchover nothing of it stands in the way: the master may be lost,
 * and the standby is needed whatever a look from outside says.
 */
export const readiness: Check = {
  id: 'readiness',
  title: 'Readiness to start in Azure',
  group: 'Replication',
  moments: ['watch', 'switchover'],
  uses: [],
  codes: {
    NOT_READY: error(
      'The replica shows what would stop the server’s start in Azure, and a switchover cannot change that in the copy by itself.',
      '`standby readiness` names each fact with its cure, which is to be run on the master.',
    ),
    NOT_READY_NOW: warning(
      'The same, at a switchover: it goes on, because the standby may start all the same.',
      'After it look at the boot proof; cure what `standby readiness` names.',
    ),
    READINESS_NONE: unseen('There is no replica to look into, or nobody was asked.', '`standby run`.'),
    READINESS_UNKNOWN: unseen(
      'The appliance could not look into the replica, or the disk holds what is not read.',
      '`standby readiness` says which.',
    ),
  },
  async run(facts): Promise<readonly Finding[]> {
    const state = await replicaState(facts);
    if ('nothing' in state) return [skipped('READINESS_NONE', state.nothing)];
    const { scenario, inventory, session } = facts;
    const diskId = (inventory?.disks.find(({ boot }) => boot) ?? inventory?.disks[0])?.id;
    if (!session || diskId === undefined) return [skipped('READINESS_UNKNOWN', 'the master is not known')];
    try {
      return [judge(facts, await session.readiness(scenario.id, diskId))];
    } catch (failure) {
      if (!isStandbyError(failure)) throw failure;
      return [skipped('READINESS_UNKNOWN', messageOf(failure))];
    }
  },
};

function judge({ scenario, moment }: CheckFacts, { verdict, verdicts, sealed }: Readiness): Finding {
  const found = (status: Verdict['status']) => verdicts.filter((one) => one.status === status);
  const list = (some: readonly Verdict[]) => some.map(({ code, found: was }) => `${code}: ${was}`).join('; ');
  if (verdict === 'not proven')
    return skipped('READINESS_UNKNOWN', `not everything could be looked at; ${list(found('skipped'))}`);
  const warnings = found('warning');
  const besides =
    warnings.length > 0 ? `; not as on the master: ${warnings.map(({ code }) => code).join(', ')}` : '';
  if (verdict === 'ready') return ok('READY', `nothing stands in the way of its start${besides}`);
  if (sealed?.verdict === 'ready')
    return ok('READY', `a switchover changes this in the copy: ${sealed.changes.join('; ')}${besides}`);
  const expected = 'a replica from which the server starts in Azure';
  const next = `standby readiness ${scenario.name}`;
  const wrongs = list(found('error'));
  return moment === 'switchover'
    ? doubtful('NOT_READY_NOW', wrongs, expected, next)
    : wrong('NOT_READY', wrongs, expected, next);
}

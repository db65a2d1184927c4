import type { ScopeLock } from '../../ports/cloud.ts';
import { type Check, doubtful, error, type Finding, ok, skipped, unseen, warning, wrong } from '../check.ts';
import { scopesOf } from '../scopes.ts';

/** No lock stands in the way of making the standby, nor of taking it away again. */
export const locks: Check = {
  id: 'locks',
  title: 'Locks',
  group: 'Identity',
  uses: ['access.locks', 'groups.get'],
  codes: {
    LOCK_READ_ONLY: error(
      'A read-only lock forbids every change in the resource group.',
      'Have the lock removed, or choose another resource group.',
    ),
    LOCK_DELETE: warning(
      'A delete lock forbids to undo a switchover and to remove a standby or a drill.',
      'Have the lock removed, or accept that resources stay and cost money.',
    ),
    LOCKS_UNKNOWN: unseen('Nothing tells which subscription the scenario is in.', '`standby account list`.'),
  },
  async run(facts): Promise<readonly Finding[]> {
    const scopes = await scopesOf(facts);
    if (!scopes) return [skipped('LOCKS_UNKNOWN', 'the subscription of the account is not known')];
    const places = [scopes.group, ...(scopes.appliance === undefined ? [] : [scopes.appliance])];
    const lists = await Promise.all([...new Set(places)].map((scope) => facts.cloud.access.locks(scope)));
    const found = new Map(
      lists
        .flat()
        .filter((lock) => inTheWay(lock, places))
        .map((lock) => [`${lock.scope} ${lock.name}`, lock]),
    );
    if (found.size === 0) return [ok('NO_LOCK', 'no lock is in the way')];
    return [...found.values()].map(judge);
  },
};

/** One on the group or above it; a lock on somebody else's resource below is none of ours. */
function inTheWay(lock: ScopeLock, places: readonly string[]): boolean {
  const above = lock.scope.toLowerCase();
  return places.some((place) => `${place.toLowerCase()}/`.startsWith(`${above}/`));
}

function judge(lock: ScopeLock): Finding {
  if (lock.level === 'ReadOnly') {
    const found = `The lock "${lock.name}" makes ${lock.scope} read-only.`;
    const next = `Have that lock removed, or choose another resource group.`;
    return wrong('LOCK_READ_ONLY', found, 'no lock', next);
  }
  const found = `The lock "${lock.name}" forbids to delete anything in ${lock.scope}; undo and removal will fail.`;
  const next = 'Have that lock removed, or accept that what a switchover made can be removed by hand only.';
  return doubtful('LOCK_DELETE', found, 'no lock', next);
}

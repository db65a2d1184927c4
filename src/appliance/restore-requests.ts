import { LEAF_BYTES } from '../block/digest.ts';
import { StandbyError } from '../errors.ts';
import type { Connection, Handlers } from '../wire/connection.ts';
import { LIMITS } from '../wire/limits.ts';
import type { Params, Result } from '../wire/messages.ts';
import { assertProtocol, type EngineParts, helloOf } from './control-requests.ts';

/**
 * What a machine that is restored may ask: it comes with its master's certificate, and while that master's engine runs it
 * is refused, because that engine may be reading, or serving, the very disks.
 */
export function openRestoreSession(
  parts: EngineParts,
  masterId: string,
  connection: Connection,
): Result<'hello'> {
  assertEngineAway(parts, masterId);
  connection.prove(requestsOfRestored(parts, masterId));
  parts.log.info('a machine came to be restored', { masterId });
  return helloOf(parts);
}

export async function openRestoreLane(
  parts: EngineParts,
  masterId: string,
  hello: Extract<Params<'hello'>, { purpose: 'restore-lane' }>,
  connection: Connection,
): Promise<Result<'hello'>> {
  assertProtocol(hello.protocol);
  assertEngineAway(parts, masterId);
  const source = await parts.restores.source(masterId, hello);
  const credit = parts.credit.take(connection.closed);
  connection.prove({}, parts.restores.addLane(source, hello.attempt, connection, credit));
  return helloOf(parts, credit);
}

function requestsOfRestored(parts: EngineParts, masterId: string): Handlers {
  const { restores } = parts;
  return {
    restoreOffers: async (ask, connection) => {
      assertEngineAway(parts, masterId);
      const offers = await restores.offers(masterId, ask, connection.signal);
      return { offers, finished: restores.finished(masterId) };
    },
    restoreProve: async (restore) => {
      // It begins; who asks for its outcome gets its error too.
      void (await restores.source(masterId, restore)).prove();
      return {};
    },
    restoreProven: async ({ waitMs, digests, ...restore }, connection) => {
      const source = await restores.source(masterId, restore);
      const differing = source.differing(digests);
      const over = new AbortController();
      const stop = AbortSignal.any([over.signal, connection.signal]);
      const late = parts.clock.sleep(waitMs, stop).then(
        () => undefined,
        () => undefined, // The proof came first, or nobody waits any more.
      );
      const diskIds = await Promise.race([differing, late]);
      over.abort();
      if (!diskIds) {
        differing.catch(() => undefined); // The next question gets it.
        return { state: 'waiting' };
      }
      if (diskIds.length > 0) return { state: 'differs', diskIds };
      await restores.proven(restore.scenarioId, restore.restoreId, digests);
      return { state: 'equal' };
    },
    restoreLeaves: async ({ diskId, fromByte, ...restore }) => {
      const leaves = await (await restores.source(masterId, restore)).leaves(diskId);
      const length = LIMITS.sliceBytes - (LIMITS.sliceBytes % LEAF_BYTES);
      return {
        leaves: leaves.subarray(fromByte, fromByte + length).toString('base64'),
        totalBytes: leaves.length,
      };
    },
    restoreProblem: async ({ what, ...restore }) => {
      await restores.source(masterId, restore);
      restores.problem(restore.scenarioId, what);
      return {};
    },
  };
}

function assertEngineAway({ masters }: EngineParts, masterId: string): void {
  if (!masters.session(masterId)) return;
  throw new StandbyError({
    code: 'MASTER_ENGINE_RUNS',
    what: 'The engine of this master is connected: its disks may be in use, and are not written.',
    next: 'Stop the server and its engine (`standby engine master`), then restore.',
    retry: 'later',
  });
}

import { messageOf } from '../errors.ts';
import type { Connection, Handlers } from '../wire/connection.ts';
import type { Params, Result } from '../wire/messages.ts';
import { assertProtocol, type EngineParts, helloOf, wrongPurpose } from './control-requests.ts';
import { openRestoreLane, openRestoreSession } from './restore-requests.ts';

/**
 * What a master may do on an appliance: keep a session, open lanes, send changes, and report about its own disks.
 * A master reaches replicas of its own scenarios only; others do not exist for it.
 */
export function masterHandlers(parts: EngineParts, masterId: string): Handlers {
  return {
    hello: async (hello, connection) => {
      if (hello.purpose === 'control') throw wrongPurpose(connection, hello.purpose);
      assertProtocol(hello.protocol);
      if (hello.purpose === 'lane') return openLane(parts, masterId, hello, connection);
      if (hello.purpose === 'changes') return await openChanges(parts, masterId, hello, connection);
      if (hello.purpose === 'restore') return openRestoreSession(parts, masterId, connection);
      if (hello.purpose === 'restore-lane') return await openRestoreLane(parts, masterId, hello, connection);
      return await openSession(parts, masterId, hello, connection);
    },
  };
}

type SessionHello = Extract<Params<'hello'>, { purpose: 'session' }>;
type ChangesHello = Extract<Params<'hello'>, { purpose: 'changes' }>;
type LaneHello = Extract<Params<'hello'>, { purpose: 'lane' }>;

function openLane(
  parts: EngineParts,
  masterId: string,
  hello: LaneHello,
  connection: Connection,
): Result<'hello'> {
  const replica = replicaOf(parts, masterId, hello.scenarioId);
  const credit = parts.credit.take(connection.closed);
  const lane = replica.addLane(hello.attempt, connection, credit);
  connection.prove({}, lane);
  return helloOf(parts, credit);
}

async function openChanges(
  parts: EngineParts,
  masterId: string,
  { scenarioId, epoch }: ChangesHello,
  connection: Connection,
): Promise<Result<'hello'>> {
  const { stream } = replicaOf(parts, masterId, scenarioId);
  const { after, lane } = await stream.openChanges(epoch, connection);
  connection.prove({}, lane);
  return { ...helloOf(parts), after: String(after) };
}

async function openSession(
  parts: EngineParts,
  masterId: string,
  { engineVersion, inventory }: SessionHello,
  connection: Connection,
): Promise<Result<'hello'>> {
  const { masters, replicas, fences, log } = parts;
  connection.prove(requestsOfMaster(parts, masterId));
  await masters.arrive({ masterId, engineVersion, inventory }, connection);
  log.info('master connected', { masterId, hostName: inventory.hostName });
  const failed = (error: unknown) => log.error('session failed', { masterId, error: messageOf(error) });
  void connection.closed
    .then(async () => {
      if (await masters.leave(masterId, connection)) replicas.masterLeft(masterId);
    })
    .catch(failed);
  // After the answer: the master takes requests once it has read it.
  setImmediate(() => {
    void replicas.masterArrived(masterId, connection).catch(failed);
    const scenarioIds = replicas.ofMaster(masterId).map((replica) => replica.spec.scenarioId);
    if (inventory.fence) void fences.tell(connection, scenarioIds).catch(failed);
  });
  return helloOf(parts);
}

function requestsOfMaster(parts: EngineParts, masterId: string): Handlers {
  const replica = (scenarioId: string) => replicaOf(parts, masterId, scenarioId);
  return {
    copyBegin: async ({ scenarioId, attempt, leftOutBytes }) => {
      await replica(scenarioId).begin(attempt, leftOutBytes);
      return {};
    },
    copyHave: async ({ scenarioId, diskId, fromByte }) => replica(scenarioId).have(diskId, fromByte),
    copyProven: async ({ scenarioId, digests }) => {
      replica(scenarioId).proven(digests);
      return {};
    },
    copyProblem: async ({ scenarioId, error }) => {
      replica(scenarioId).problem(error);
      return {};
    },
    streamState: async (params) => {
      replica(params.scenarioId).stream.hear(params);
      return {};
    },
    streamProving: async ({ scenarioId, sequence }) => {
      replica(scenarioId).stream.proving(sequence);
      return {};
    },
    streamProven: async (params) => {
      replica(params.scenarioId).stream.proven(params);
      return {};
    },
    streamProblem: async (params) => {
      replica(params.scenarioId).stream.problem(params);
      return {};
    },
  };
}

function replicaOf(parts: EngineParts, masterId: string, scenarioId: string) {
  const replica = parts.replicas.get(scenarioId);
  // The same answer as for a scenario that is not here: one master learns nothing about another.
  return replica.spec.masterId === masterId ? replica : parts.replicas.get(`not-of-${masterId}`);
}

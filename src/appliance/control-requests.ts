import type { Clock } from '../clock.ts';
import { StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Connection, Handlers } from '../wire/connection.ts';
import { LIMITS, PROTOCOL } from '../wire/limits.ts';
import type { Params, Result } from '../wire/messages.ts';
import { ENGINE_VERSION } from '../wire/version.ts';
import type { Bandwidth } from './bandwidth.ts';
import type { Fences } from './fences.ts';
import type { FrameCredit } from './frame-credit.ts';
import type { Joins } from './joins.ts';
import type { Masters } from './masters.ts';
import type { Replicas } from './replicas.ts';
import type { Restores } from './restores.ts';

/** What control may ask of an appliance: the methods of wire/control-session.ts. */
export interface EngineParts {
  readonly applianceId: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly masters: Masters;
  readonly joins: Joins;
  readonly replicas: Replicas;
  readonly bandwidth: Bandwidth;
  readonly fences: Fences;
  readonly restores: Restores;
  readonly credit: FrameCredit;
}

/** A first message is `hello`; only its answer opens the rest. */
export function controlHandlers(parts: EngineParts): Handlers {
  return {
    hello: async (hello, connection) => {
      if (hello.purpose !== 'control') throw wrongPurpose(connection, hello.purpose);
      assertProtocol(hello.protocol);
      connection.prove(requestsOfControl(parts));
      return helloOf(parts);
    },
  };
}

function requestsOfControl(parts: EngineParts): Handlers {
  const { masters, joins, replicas, bandwidth, fences, restores } = parts;
  const seen = new Map<string, number>();
  const done = async (work: Promise<unknown>) => {
    await work;
    return {};
  };
  return {
    disks: async () => ({ disks: await replicas.disks() }),
    offerJoin: (offer) => done(joins.offer(offer)),
    pendingJoins: async () => ({ pending: joins.pending() as Result<'pendingJoins'>['pending'] }),
    grantJoin: (grant) => done(joins.grant(grant)),
    masters: async () => ({ masters: masters.list() as Result<'masters'>['masters'] }),
    openReplica: (spec) => {
      restores.assertNotRead(
        spec.scenarioId,
        spec.disks.map(({ lun }) => lun),
      );
      return done(replicas.open(spec).then(() => restores.forgetFinished(spec.scenarioId)));
    },
    startCopy: ({ scenarioId, options }) => done(replicas.get(scenarioId).startCopy(options)),
    progress: (params, connection) => progressOf(replicas, seen, params, connection),
    stopCopy: ({ scenarioId }) => done(replicas.get(scenarioId).stopCopy()),
    seal: async ({ scenarioId, point, drain }) => {
      const options = { ...(point ? { point } : {}), ...(drain === undefined ? {} : { drain }) };
      return (await replicas.get(scenarioId).seal(options)) as Result<'seal'>;
    },
    bookmark: ({ scenarioId, name }) => replicas.get(scenarioId).bookmark(name),
    bookmarks: ({ scenarioId }) => replicas.get(scenarioId).bookmarks(),
    setRewind: ({ scenarioId, rewind }) => done(replicas.get(scenarioId).setRewind(rewind)),
    scrub: ({ scenarioId }) => done(replicas.get(scenarioId).scrub()),
    readiness: async ({ scenarioId, diskId }, connection) =>
      (await replicas.readiness(scenarioId, diskId, connection.signal)) as Result<'readiness'>,
    bandwidth: async () => bandwidth.schedule,
    setBandwidth: (schedule) => done(bandwidth.set(schedule)),
    unseal: ({ scenarioId }) => {
      const replica = replicas.get(scenarioId);
      restores.assertNotRead(
        scenarioId,
        replica.spec.disks.map(({ lun }) => lun),
      );
      return done(replica.unseal());
    },
    patchReplica: async ({ scenarioId, bootDiskId }) =>
      (await replicas.get(scenarioId).patch.apply(bootDiskId)) as Result<'patchReplica'>,
    unpatchReplica: ({ scenarioId }) => done(replicas.get(scenarioId).patch.remove()),
    hold: async ({ scenarioId, ...hold }) =>
      (await replicas.get(scenarioId).hold.take(hold)) as Result<'hold'>,
    release: async ({ scenarioId, holdId }) =>
      (await replicas.get(scenarioId).hold.release(holdId)) as Result<'release'>,
    fence: ({ scenarioId, fenced, insist }) => {
      const { masterId } = replicas.get(scenarioId).spec;
      const session = masters.session(masterId);
      return fenced
        ? fences.add({ scenarioId, masterId }, session, insist)
        : fences.release(scenarioId, session);
    },
    openRestore: (spec) => done(restores.open(spec)),
    restoreState: async ({ scenarioId }) => restores.state(scenarioId),
    closeRestore: ({ scenarioId }) => done(restores.closeRestore(scenarioId)),
    closeReplica: async ({ scenarioId }) => {
      await restores.closeRestore(scenarioId);
      await restores.forgetFinished(scenarioId);
      return done(replicas.remove(scenarioId));
    },
  };
}

const MOVING = new Set(['copying', 'proving', 'draining', 'replicating', 'master-away', 'idle']);

/** Nothing is copied: what lies on the disks decides how the next copy goes. */
const AT_REST = new Set(['idle', 'failed', 'resync-needed']);

/** Waits only for news this connection has not seen, and never where nothing will come by itself. */
async function progressOf(
  replicas: Replicas,
  seen: Map<string, number>,
  { scenarioId, waitMs }: Params<'progress'>,
  connection: Connection,
): Promise<Result<'progress'>> {
  const replica = replicas.get(scenarioId);
  const isMoving = MOVING.has(replica.progress().state);
  const version = seen.get(scenarioId);
  if (waitMs > 0 && isMoving && version !== undefined) {
    await replica.changed(version, waitMs, connection.signal);
  }
  if (seen.size > LIMITS.connections) seen.clear();
  seen.set(scenarioId, replica.version);
  const progress = replica.progress();
  const seed = AT_REST.has(progress.state) ? await replicas.seedOf(scenarioId) : undefined;
  return { ...progress, ...(seed ? { seed } : {}) } as Result<'progress'>;
}

export function helloOf(parts: EngineParts, creditFrames?: number): Result<'hello'> {
  return {
    applianceId: parts.applianceId,
    engineVersion: ENGINE_VERSION,
    protocol: PROTOCOL,
    nowMs: parts.clock.now(),
    ...(creditFrames === undefined ? {} : { creditFrames }),
  };
}

export function assertProtocol(protocol: number): void {
  if (protocol === PROTOCOL) return;
  throw new StandbyError({
    code: 'PROTOCOL_DIFFERS',
    what: `The appliance speaks protocol ${PROTOCOL}, the caller ${protocol}.`,
    why: 'The engines are of different versions.',
    next: 'Install the same version of Standby on control, master and appliance.',
  });
}

export function wrongPurpose(connection: Connection, purpose: string): StandbyError {
  connection.drop(`it came as ${purpose}, which its certificate does not allow`);
  return new StandbyError({ code: 'NOT_ALLOWED', what: 'The certificate does not allow this.' });
}

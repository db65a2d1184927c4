import type { Clock } from '../clock.ts';
import { isStandbyError, StandbyError } from '../errors.ts';
import { silentLog } from '../log.ts';
import type { Credentials } from './certificates.ts';
import { Connection } from './connection.ts';
import type { ApplianceHello, ControlSession } from './control-session.ts';
import { dialAppliance } from './dial.ts';
import { PROTOCOL, TIMINGS, type Timings } from './limits.ts';
import { ENGINE_VERSION } from './version.ts';

/**
 * Control's side of port 25000. It holds no state: when this process dies, what the appliance was told to do goes on,
 * and the next connection sees it.
 */
export interface ConnectOptions {
  readonly address: string;
  readonly port: number;
  readonly credentials: Credentials;
  /** When given, only this appliance is accepted. */
  readonly applianceId?: string;
  readonly clock: Clock;
  readonly timeoutMs?: number;
  readonly timings?: Partial<Timings>;
}

/** Sealing and opening flush or read whole disks' state: they may take longer than other requests. */
const SLOW_REQUEST_MS = 120_000;

/** Codes: APPLIANCE_UNREACHABLE (retry later), APPLIANCE_NOT_ENROLLED, APPLIANCE_WRONG, CONTROL_REFUSED, PROTOCOL_DIFFERS. */
export async function connectControl(options: ConnectOptions): Promise<ControlSession> {
  const connection = await open(options);
  try {
    return sessionOver(connection, await greet(connection, options));
  } catch (error) {
    connection.drop('the greeting failed');
    throw error;
  }
}

async function open(options: ConnectOptions): Promise<Connection> {
  try {
    const socket = await dialAppliance(options, options.credentials, options.applianceId);
    const name = `the appliance at ${options.address}:${options.port}`;
    const { clock } = options;
    return new Connection(socket, {
      name,
      clock,
      log: silentLog,
      timings: { ...TIMINGS, ...options.timings },
      proven: true,
      handlers: {},
    });
  } catch (error) {
    if (!isStandbyError(error) || error.code !== 'PROTOCOL_REFUSED') throw error;
    throw new StandbyError({
      code: 'APPLIANCE_NOT_ENROLLED',
      what: `The appliance at ${options.address}:${options.port} has no certificate yet.`,
      why: 'It still waits for its enrolment.',
      next: 'Run `standby appliance check`: control enrols it when it can reach it.',
      retry: 'later',
      cause: error,
    });
  }
}

async function greet(connection: Connection, options: ConnectOptions): Promise<ApplianceHello> {
  const { clock } = options;
  const askedAtMs = clock.now();
  const hello = { purpose: 'control', protocol: PROTOCOL, engineVersion: ENGINE_VERSION } as const;
  try {
    const answer = await connection.request('hello', hello, options.timeoutMs);
    const { applianceId, engineVersion, protocol, nowMs } = answer;
    const clockDifferenceMs = Math.round(nowMs - (askedAtMs + clock.now()) / 2);
    return { applianceId, engineVersion, protocol, clockDifferenceMs };
  } catch (error) {
    if (!isStandbyError(error) || error.code !== 'CONNECTION_LOST') throw error;
    throw new StandbyError({
      code: 'CONTROL_REFUSED',
      what: `The appliance at ${options.address}:${options.port} closed the connection without an answer.`,
      why: 'It does not accept our certificate, or it stopped just now.',
      next: 'Try again; if it stays so, it belongs to another control: deploy a new one.',
      retry: 'later',
      cause: error,
    });
  }
}

function sessionOver(connection: Connection, hello: ApplianceHello): ControlSession {
  return {
    hello,
    disks: async () => (await connection.request('disks', {})).disks,
    offerJoin: async (offer) => void (await connection.request('offerJoin', offer)),
    pendingJoins: async () => (await connection.request('pendingJoins', {})).pending,
    grantJoin: async (grant) => void (await connection.request('grantJoin', grant)),
    masters: async () => (await connection.request('masters', {})).masters,
    openReplica: async (spec) => {
      const disks = spec.disks.map((disk) => ({ ...disk, excluded: [...disk.excluded] }));
      await connection.request('openReplica', { ...spec, disks }, SLOW_REQUEST_MS);
    },
    startCopy: async (scenarioId, { capture, lanes, compression, mode }) => {
      const options = { capture, lanes, compression, ...(mode === undefined ? {} : { mode }) };
      await connection.request('startCopy', { scenarioId, options }, SLOW_REQUEST_MS);
    },
    progress: async (scenarioId, waitMs = 0) => {
      const wait = Math.min(waitMs, 60_000);
      return await connection.request('progress', { scenarioId, waitMs: wait }, wait + TIMINGS.requestMs);
    },
    stopCopy: async (scenarioId) =>
      void (await connection.request('stopCopy', { scenarioId }, SLOW_REQUEST_MS)),
    seal: (scenarioId, options = {}) =>
      connection.request('seal', { scenarioId, ...options }, SLOW_REQUEST_MS),
    bookmark: (scenarioId, name) => connection.request('bookmark', { scenarioId, name }),
    bookmarks: (scenarioId) => connection.request('bookmarks', { scenarioId }),
    setRewind: async (scenarioId, rewind) =>
      void (await connection.request('setRewind', { scenarioId, rewind })),
    scrub: async (scenarioId) => void (await connection.request('scrub', { scenarioId })),
    readiness: (scenarioId, diskId) =>
      connection.request('readiness', { scenarioId, diskId }, SLOW_REQUEST_MS),
    bandwidth: () => connection.request('bandwidth', {}),
    setBandwidth: async (schedule) => void (await connection.request('setBandwidth', schedule)),
    unseal: async (scenarioId) => void (await connection.request('unseal', { scenarioId }, SLOW_REQUEST_MS)),
    patchReplica: (scenarioId, bootDiskId) =>
      connection.request('patchReplica', { scenarioId, bootDiskId }, SLOW_REQUEST_MS),
    unpatchReplica: async (scenarioId) =>
      void (await connection.request('unpatchReplica', { scenarioId }, SLOW_REQUEST_MS)),
    hold: (scenarioId, hold) => connection.request('hold', { scenarioId, ...hold }, SLOW_REQUEST_MS),
    release: (scenarioId, holdId) => connection.request('release', { scenarioId, holdId }, SLOW_REQUEST_MS),
    fence: (scenarioId, fenced, insist = false) =>
      connection.request('fence', { scenarioId, fenced, insist }, SLOW_REQUEST_MS),
    openRestore: async (spec) => void (await connection.request('openRestore', spec, SLOW_REQUEST_MS)),
    restoreState: async (scenarioId) => (await connection.request('restoreState', { scenarioId })).restore,
    closeRestore: async (scenarioId) =>
      void (await connection.request('closeRestore', { scenarioId }, SLOW_REQUEST_MS)),
    closeReplica: async (scenarioId) =>
      void (await connection.request('closeReplica', { scenarioId }, SLOW_REQUEST_MS)),
    close: async () => {
      connection.close('control is done');
      await connection.closed;
    },
  };
}

import { once } from 'node:events';
import type { Clock } from '../clock.ts';
import type { JournalLimits } from '../journal/limits.ts';
import type { Log } from '../log.ts';
import { makeChecksum } from '../wire/checksum.ts';
import { ALPN, TIMINGS, type Timings } from '../wire/limits.ts';
import { Bandwidth } from './bandwidth.ts';
import { controlHandlers } from './control-requests.ts';
import { enrolmentDoor } from './enrolling.ts';
import { Fences } from './fences.ts';
import { FrameCredit } from './frame-credit.ts';
import { type ApplianceIdentity, readEnrolment, readIdentity } from './identity.ts';
import { Joins } from './joins.ts';
import { type Door, Listener } from './listener.ts';
import { masterHandlers } from './master-requests.ts';
import { Masters } from './masters.ts';
import { Replicas } from './replicas.ts';
import { Restores } from './restores.ts';

/**
 * The appliance: listens on TCP 25000, takes blocks from masters, does what control asks. It holds no cloud credential.
 * Promises: nobody without a certificate of its authority gets in (or, before that, without its one-time token); a
 * stranger never stops it. Dies at any line: all it knows is in its state folder, in files that are whole or absent;
 * started again it goes on.
 */
export interface ApplianceEngineOptions {
  readonly stateFolder: string;
  /** First boot's `{"applianceId","token","caSha256"}`; not read again once enrolled. */
  readonly enrolFile?: string;
  /** Where the data disks appear as `lun<N>`. */
  readonly lunsFolder: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly onListening?: (address: { readonly host: string; readonly port: number }) => void;
  readonly timings?: Partial<Timings>;
  /** Tests: smaller journals than the disk would allow. */
  readonly journal?: Partial<JournalLimits>;
}

/** Runs until the signal is aborted. */
export async function runApplianceEngine(options: ApplianceEngineOptions): Promise<void> {
  const { clock, log, signal, stateFolder } = options;
  const timings = { ...TIMINGS, ...options.timings };
  const listener = new Listener({ clock, log, timings });
  const known = await readIdentity(stateFolder);
  const first = known
    ? await engineDoor(options, timings, known)
    : await doorToEnrol(options, timings, listener);
  listener.open(first.door);
  const address = await listener.listen(options.listen.host, options.listen.port);
  log.info('the appliance listens', { ...address, enrolled: known !== undefined });
  options.onListening?.(address);
  if (!signal.aborted) await once(signal, 'abort');
  await listener.close('the appliance stops');
  await first.close();
}

interface OpenDoor {
  readonly door: Door;
  close(): Promise<void>;
}

/** Until it is enrolled it answers nobody else; then the same port becomes the engines'. */
async function doorToEnrol(
  options: ApplianceEngineOptions,
  timings: Timings,
  listener: Listener,
): Promise<OpenDoor> {
  const { stateFolder, log } = options;
  const enrolment = await readEnrolment(options.enrolFile);
  let next: OpenDoor | undefined;
  const onEnrolled = async (identity: ApplianceIdentity) => {
    next = await engineDoor(options, timings, identity);
    listener.open(next.door);
    log.info('the appliance is enrolled', { applianceId: identity.applianceId });
  };
  const door = await enrolmentDoor({ enrolment, stateFolder, onEnrolled });
  return { door, close: async () => next?.close() };
}

async function engineDoor(
  options: ApplianceEngineOptions,
  timings: Timings,
  identity: ApplianceIdentity,
): Promise<OpenDoor> {
  const { stateFolder, lunsFolder, clock, log } = options;
  const masters = await Masters.load(stateFolder, clock);
  const joins = await Joins.load({ stateFolder, clock, log, caPem: identity.caPem });
  const bandwidth = await Bandwidth.load(stateFolder, clock);
  const fences = await Fences.load(stateFolder, log);
  const checksum = await makeChecksum();
  const hashing = oneAtATime();
  const replicas = await Replicas.load({
    bandwidth,
    stateFolder,
    lunsFolder,
    clock,
    log,
    timings,
    checksum,
    hashing,
    ...(options.journal ? { journal: options.journal } : {}),
    session: (masterId) => masters.session(masterId),
    bootId: (masterId) => masters.bootId(masterId),
  });
  const restores = await Restores.load({ stateFolder, lunsFolder, clock, log, checksum, hashing, replicas });
  const credit = new FrameCredit();
  const parts = {
    applianceId: identity.applianceId,
    clock,
    log,
    masters,
    joins,
    replicas,
    bandwidth,
    fences,
    restores,
    credit,
  };
  const door: Door = {
    // The authority goes along, so that a master that only knows its SHA-256 can check the rest.
    certificatePem: `${identity.certificatePem}\n${identity.caPem}`,
    keyPem: identity.keyPem,
    caPem: identity.caPem,
    protocols: [ALPN.engines, ALPN.join],
    greet: ({ alpn, identity: peer }) => {
      if (alpn === ALPN.join) return { join: (params, connection) => joins.join(params, connection) };
      if (peer?.role === 'control') return controlHandlers(parts);
      return peer?.role === 'master' ? masterHandlers(parts, peer.id) : undefined;
    },
  };
  const close = async () => {
    await restores.close('the appliance stops');
    await replicas.close('the appliance stops');
    await masters.settle();
  };
  return { door, close };
}

/** Who comes waits for those before it, unless it is given up. */
function oneAtATime(): <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T> {
  let before: Promise<unknown> = Promise.resolve();
  return async (work, signal) => {
    const turn = before.then(() => {
      signal.throwIfAborted();
      return work();
    });
    before = turn.catch(() => undefined); // Whoever asked gets the error.
    return await turn;
  };
}

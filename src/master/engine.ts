import type { LiveOptions } from '../capture/capture.ts';
import type { Clock } from '../clock.ts';
import { isStandbyError, StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import { isWindowsDevice } from '../model/disk.ts';
import { makeChecksum } from '../wire/checksum.ts';
import { Connection, type Handlers } from '../wire/connection.ts';
import { dialAppliance } from '../wire/dial.ts';
import { inventorySchema } from '../wire/inventory.ts';
import { PROTOCOL, TIMINGS, type Timings } from '../wire/limits.ts';
import { ENGINE_VERSION } from '../wire/version.ts';
import { Copies, type CopiesOptions } from './copies.ts';
import { Fence } from './fence.ts';
import { type MasterIdentity, readMasterIdentity } from './identity.ts';
import { takeInventory } from './inventory.ts';
import { LiveCaptures } from './live-captures.ts';
import type { SenderOptions } from './sender.ts';
import { Streams } from './streams.ts';
import type { WindowsTools } from './windows/powershell.ts';
import { type ShadowViews, shadowViewsOf } from './windows/shadow-views.ts';

/**
 * The master: dials its appliance, keeps that session for ever, copies its disks and follows their changes when it is
 * told to. Promises: it writes to no disk by itself and never listens, but for the disks it serves to this machine, which
 * it serves whether the appliance is there or not. Dies at any line: what was followed is in its state folder; started
 * again it dials, and the appliance goes on with what was wanted.
 */
export interface MasterEngineOptions {
  readonly stateFolder: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly timings?: Partial<Timings>;
  /** Serve all joined disks over NBD from the start: what capture `nbd` needs. */
  readonly nbd?: LiveOptions['nbd'];
  /** How captures that compare take their views, and how often. */
  readonly compare?: LiveOptions['compare'];
  /** Takes this server off the network and lets it on again; gets `disable` or `enable` as its last argument. */
  readonly fence?: readonly string[];
  /** Where the engine runs on Windows. */
  readonly windows?: WindowsTools;
  /** Tests only: spoils blocks after their checksum was made. */
  readonly spoil?: SenderOptions['spoil'];
}

/** Runs until the signal is aborted. */
export async function runMasterEngine(options: MasterEngineOptions): Promise<void> {
  const { clock, log, stateFolder } = options;
  const timings = { ...TIMINGS, ...options.timings };
  const identity = await readMasterIdentity(stateFolder);
  if (!identity) throw notJoined(stateFolder);
  const checksum = await makeChecksum();
  // Before anybody is dialled: a server whose standby runs must not come onto the network.
  const fence = await Fence.open({ stateFolder, command: options.fence, log });
  const live = await openCaptures(identity, options);
  try {
    await keepSession({ identity, checksum, clock, log, timings, live, fence }, { ...options, timings });
  } finally {
    await live.close();
  }
}

async function openCaptures(identity: MasterIdentity, options: MasterEngineOptions): Promise<LiveCaptures> {
  const { stateFolder, clock, log, nbd, compare } = options;
  const { disks } = await freshInventory(identity, options);
  const views = await shadowViews(options, disks);
  return await LiveCaptures.open({
    stateFolder,
    disks,
    clock,
    log,
    ...(nbd ? { nbd } : {}),
    ...(compare || views ? { compare: { ...compare, ...(views ? { views } : {}) } } : {}),
  });
}

/** Windows' own disks move while they are read; their shadow copies do not. */
async function shadowViews(
  { stateFolder, log, windows: tools }: MasterEngineOptions,
  disks: readonly { readonly path: string }[],
): Promise<ShadowViews | undefined> {
  if (!tools || !disks.some(({ path }) => isWindowsDevice(path))) return undefined;
  const views = shadowViewsOf(stateFolder, { tools, log });
  await views.clean();
  return views;
}

type Parts = Omit<CopiesOptions, 'spoil'> & { readonly fence: Fence };

async function keepSession(
  parts: Parts,
  options: MasterEngineOptions & { readonly timings: Timings },
): Promise<void> {
  const { clock, log, signal, timings } = options;
  const { identity } = parts;
  let delayMs = timings.reconnectMinMs;
  while (!signal.aborted) {
    const copies = new Copies({ ...parts, spoil: options.spoil });
    const streams = new Streams(parts);
    try {
      const session = await openSession(parts, handlersOf(copies, streams, parts.fence), {
        ...options,
        timings,
      });
      log.info('connected to the appliance', { applianceId: identity.appliance.id });
      delayMs = timings.reconnectMinMs;
      const stop = () => session.close('the master stops');
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
      log.warn('the session ended', { reason: await session.closed });
      signal.removeEventListener('abort', stop);
    } catch (error) {
      if (!isStandbyError(error)) throw error;
      log.warn('the appliance is not reached', { reason: error.message });
    } finally {
      await Promise.all([copies.stop(), streams.end()]);
    }
    await clock.sleep(delayMs, signal).catch(() => undefined); // Stopped: the loop ends.
    delayMs = Math.min(delayMs * 2, timings.reconnectMaxMs);
  }
}

async function openSession(
  { identity, live, fence }: Parts,
  handlers: Handlers,
  options: MasterEngineOptions & { readonly timings: Timings },
): Promise<Connection> {
  const { clock, log, timings } = options;
  const { id, address, port } = identity.appliance;
  const socket = await dialAppliance({ address, port, clock, timeoutMs: timings.handshakeMs }, identity, id);
  const session: Connection = new Connection(socket, {
    name: `appliance ${id}`,
    clock,
    log,
    timings,
    proven: true,
    handlers,
  });
  try {
    const { served } = live;
    const inventory = {
      ...(await freshInventory(identity, options)),
      ...(served ? { nbd: [...served] } : {}),
      ...(fence.isPossible ? { fence: true } : {}),
    };
    await session.request('hello', {
      purpose: 'session',
      protocol: PROTOCOL,
      engineVersion: ENGINE_VERSION,
      inventory,
    });
    return session;
  } catch (error) {
    session.close('the greeting failed');
    throw error;
  }
}

/**
 * The disks as they are at each new session, under the ids they joined with: sizes and volumes may have changed since.
 * A disk that cannot be read now is no reason to stay away; a copy that needs it says so.
 */
async function freshInventory(
  { inventory }: MasterIdentity,
  { clock, log, windows }: Pick<MasterEngineOptions, 'clock' | 'log' | 'windows'>,
): Promise<MasterIdentity['inventory']> {
  const { hostName, nics, disks } = inventory;
  try {
    // Of Windows' NICs it is asked anew, and its disks are found again whatever their numbers are today.
    const own = windows ? { windows, known: disks } : { nics };
    const taken = await takeInventory({
      diskPaths: disks.map((disk) => disk.path),
      hostName,
      clock,
      ...own,
    });
    return inventorySchema.parse(taken);
  } catch (error) {
    if (!isStandbyError(error)) throw error;
    log.warn('the disks cannot be looked at; the inventory stays that of the join', {
      reason: error.message,
    });
    return inventory;
  }
}

/** What the appliance may ask of a master. */
function handlersOf(copies: Copies, streams: Streams, fence: Fence): Handlers {
  return {
    fenceMaster: ({ scenarioId, fenced }) => fence.set(scenarioId, fenced),
    copyStart: (start, session) => copies.start(start, session),
    copyProve: async ({ scenarioId }) => {
      copies.get(scenarioId).prove();
      return {};
    },
    copyLeaves: async ({ scenarioId, diskId, fromByte }) => copies.get(scenarioId).leaves(diskId, fromByte),
    copyStop: async ({ scenarioId }) => {
      await copies.end(scenarioId);
      return {};
    },
    streamStart: async (start, session) => {
      // Its views are about to change.
      if (start.fresh) await copies.end(start.scenarioId);
      return await streams.start(start, session);
    },
    streamProve: async ({ scenarioId }) => {
      await streams.prove(scenarioId);
      return {};
    },
    streamLeaves: async ({ scenarioId, diskId, fromByte }) => streams.leaves(scenarioId, diskId, fromByte),
    streamStop: async ({ scenarioId, forget }) => {
      if (forget) await copies.end(scenarioId);
      await streams.stop(scenarioId, forget);
      return {};
    },
  };
}

function notJoined(stateFolder: string): StandbyError {
  return new StandbyError({
    code: 'MASTER_NOT_JOINED',
    what: 'This master has not joined an appliance.',
    why: `There is no certificate in ${stateFolder}.`,
    next: 'Run `standby master token` on control, then `standby master join <token>` here.',
    kind: 'input',
  });
}

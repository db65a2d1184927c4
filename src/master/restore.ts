import { differingChunks, LEAF_BYTES, proveDisk } from '../block/digest.ts';
import type { Clock } from '../clock.ts';
import { inputError, isStandbyError, messageOf, StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { DiskDigest } from '../model/scenario.ts';
import { type Checksum, makeChecksum } from '../wire/checksum.ts';
import { Connection } from '../wire/connection.ts';
import { dialAppliance } from '../wire/dial.ts';
import { PROTOCOL, TIMINGS, type Timings } from '../wire/limits.ts';
import type { FinishedRestore, RestoreOffer } from '../wire/restore-messages.ts';
import { ENGINE_VERSION } from '../wire/version.ts';
import type { MasterIdentity } from './identity.ts';
import { pullDifferences, type TargetDisk, unwritable } from './restore-pull.ts';
import { closeTargets, openTargets, type Target } from './restore-target.ts';

/**
 * `standby restore` on the machine that comes home: dials the appliance, waits until control has opened a restore, makes
 * the target disks equal to the appliance's, and proves it. Promises: what is refused is refused before a byte is written;
 * `mayBoot` is said only of a final restore after both ends read all of their disks and agreed.
 * Dies at any line: the same command compares again and goes on; a cut connection is dialled again for ever.
 */
export interface RestoreOptions {
  readonly identity: MasterIdentity;
  readonly stateFolder: string;
  readonly targets: readonly Target[];
  readonly overwrite: boolean;
  /** Which one, when this master has several. */
  readonly scenarioId?: string;
  /** Ends after what is there now, although newer data are still to come. */
  readonly once: boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly timings?: Partial<Timings>;
  tell(news: RestoreNews): void;
}

export type RestoreNews =
  | { readonly kind: 'waiting' | 'proving' | 'differs' }
  | { readonly kind: 'begins' | 'equal'; readonly final: boolean }
  | { readonly kind: 'progress'; readonly doneBytes: number; readonly totalBytes: number }
  | { readonly kind: 'interrupted'; readonly reason: string };

export interface RestoreOutcome {
  readonly scenarioId: string;
  readonly restoreId: string;
  readonly disks: readonly (DiskDigest & { readonly target: string })[];
  /** Of all attempts of this process: data before compression, and bytes on the wire. */
  readonly sentBytes: number;
  readonly wireBytes: number;
  /** Nothing newer will come: the server may be started from these disks. */
  readonly mayBoot: boolean;
}

const WAIT_MS = 15_000;
const LANES = 4;
/** Chunks that differ although their signatures do not are as rare as that; more often, a disk lies. */
const ROUNDS_MAX = 5;

export async function restoreDisks(options: RestoreOptions): Promise<RestoreOutcome> {
  const timings = { ...TIMINGS, ...options.timings };
  const parts = { ...options, timings, checksum: await makeChecksum(), sent: { sentBytes: 0, wireBytes: 0 } };
  let delayMs = timings.reconnectMinMs;
  let notAgain: string | undefined;
  for (;;) {
    options.signal.throwIfAborted();
    try {
      const outcome = await visit(parts, notAgain);
      if (outcome.mayBoot || options.once) return outcome;
      notAgain = outcome.restoreId;
      delayMs = timings.reconnectMinMs;
    } catch (error) {
      options.signal.throwIfAborted();
      if (!isStandbyError(error) || error.retry !== 'later') throw error;
      options.tell({ kind: 'interrupted', reason: error.message });
      options.log.warn('the restore is interrupted', { reason: error.message });
      await options.clock.sleep(delayMs, options.signal);
      delayMs = Math.min(delayMs * 2, timings.reconnectMaxMs);
    }
  }
}

type Parts = Omit<RestoreOptions, 'timings'> & {
  readonly timings: Timings;
  readonly checksum: Checksum;
  readonly sent: { sentBytes: number; wireBytes: number };
};

/** One session, with one offer. */
async function visit(parts: Parts, notAgain: string | undefined): Promise<RestoreOutcome> {
  const session = await openSession(parts);
  const stop = () => session.close('the restore was stopped');
  parts.signal.addEventListener('abort', stop, { once: true });
  try {
    const next = await nextOffer(parts, session, notAgain);
    if (next.done) return next.done;
    const { offer } = next;
    const { scenarioId, restoreId } = offer;
    try {
      return await take(parts, session, offer);
    } catch (error) {
      const isPassing = isStandbyError(error) && error.retry === 'later';
      // The operator at control sees it too; when it cannot be told, the error below is what counts.
      if (!isPassing && session.isOpen)
        await session
          .request('restoreProblem', { scenarioId, restoreId, what: messageOf(error).slice(0, 2000) })
          .catch((lost: unknown) => parts.log.warn('the problem was not told', { error: messageOf(lost) }));
      throw error;
    }
  } finally {
    parts.signal.removeEventListener('abort', stop);
    session.close('the restore is over');
  }
}

async function openSession({ identity, clock, log, timings }: Parts): Promise<Connection> {
  const { id, address, port } = identity.appliance;
  const socket = await dialAppliance({ address, port, clock, timeoutMs: timings.handshakeMs }, identity, id);
  const session = new Connection(socket, {
    name: `appliance ${id}`,
    clock,
    log,
    timings,
    proven: true,
    handlers: {},
  });
  try {
    await session.request('hello', {
      purpose: 'restore',
      protocol: PROTOCOL,
      engineVersion: ENGINE_VERSION,
    });
    return session;
  } catch (error) {
    session.close('the greeting failed');
    throw error;
  }
}

type Next = { readonly offer: RestoreOffer; readonly done?: undefined } | { readonly done: RestoreOutcome };

async function nextOffer(parts: Parts, session: Connection, notAgain: string | undefined): Promise<Next> {
  const { scenarioId, signal, clock, timings } = parts;
  let isTold = false;
  for (;;) {
    const ask = { waitMs: isTold ? WAIT_MS : 0, ...(notAgain === undefined ? {} : { notAgain }) };
    const { offers, finished } = await session.request('restoreOffers', ask, WAIT_MS + timings.requestMs);
    const fitting = offers.filter((one) => scenarioId === undefined || one.scenarioId === scenarioId);
    if (fitting[0] && fitting.length === 1) return { offer: fitting[0] };
    if (fitting.length > 1) {
      throw inputError(
        'RESTORE_UNCLEAR',
        `Several scenarios of this server are to be restored: ${fitting.map((one) => one.scenarioId).join(', ')}.`,
        'Name one: --scenario ID',
      );
    }
    const ended = finished.find((one) => scenarioId === undefined || one.scenarioId === scenarioId);
    const done = !isTold && ended ? await alreadyEqual(parts, ended) : undefined;
    if (done) return { done };
    if (!isTold) parts.tell({ kind: 'waiting' });
    isTold = true;
    // Offers of other scenarios are answered at once.
    if (offers.length > 0) await clock.sleep(timings.reconnectMaxMs, signal);
  }
}

/** Proven, and cut off or killed before it was told: what the disks hold still says so. */
async function alreadyEqual(parts: Parts, ended: FinishedRestore): Promise<RestoreOutcome | undefined> {
  const { scenarioId, restoreId, digests } = ended;
  const disks = digests.map(({ diskId, sizeBytes }) => ({ diskId, sizeBytes }));
  const offer: RestoreOffer = { scenarioId, restoreId, final: true, disks };
  const opened = await openTargets(offer, {
    ...parts,
    inventory: parts.identity.inventory,
    isOnlyRead: true,
  });
  try {
    for (const { diskId, device, sizeBytes } of opened) {
      const { digest } = await proveDisk(device, { sizeBytes, signal: parts.signal });
      if (digests.find((one) => one.diskId === diskId)?.digest !== digest) return undefined;
    }
    return outcomeOf(parts, offer, opened, digests);
  } finally {
    await closeTargets(opened);
  }
}

async function take(parts: Parts, session: Connection, offer: RestoreOffer): Promise<RestoreOutcome> {
  const { identity, stateFolder, targets, overwrite } = parts;
  const disks = await openTargets(offer, {
    stateFolder,
    targets,
    overwrite,
    inventory: identity.inventory,
  });
  try {
    parts.tell({ kind: 'begins', final: offer.final });
    await pull(parts, offer, disks);
    for (let rounds = 1; ; rounds++) {
      parts.tell({ kind: 'proving' });
      const found = await prove(parts, session, offer, disks);
      if (found.only === undefined) return outcomeOf(parts, offer, disks, found.digests);
      if (rounds >= ROUNDS_MAX) throw neverEqual(offer, disks, found.only);
      parts.tell({ kind: 'differs' });
      await pull(parts, offer, disks, found.only);
    }
  } finally {
    await closeTargets(disks);
  }
}

/** The disks hold what the appliance's do, durably. */
async function pull(
  parts: Parts,
  offer: RestoreOffer,
  disks: readonly TargetDisk[],
  only?: readonly (readonly number[])[],
): Promise<void> {
  const { scenarioId, restoreId } = offer;
  const totalBytes = disks.reduce((sum, disk) => sum + disk.sizeBytes, 0);
  const { sentBytes, wireBytes } = await pullDifferences({
    ...parts,
    restore: { scenarioId, restoreId },
    disks,
    lanes: LANES,
    ...(only ? { only } : {}),
    onProgress: (doneBytes) => {
      if (!only) parts.tell({ kind: 'progress', doneBytes, totalBytes });
    },
  });
  parts.sent.sentBytes += sentBytes;
  parts.sent.wireBytes += wireBytes;
  for (const { diskId, device } of disks) {
    await device.sync().catch((error: unknown) => {
      throw unwritable(diskId, device.path, error);
    });
  }
}

interface Found {
  readonly digests: readonly DiskDigest[];
  /** Chunks that differ, by disk; absent when both ends agree. */
  readonly only?: readonly (readonly number[])[];
}

/** Both ends read all of their disks at the same time. */
async function prove(
  parts: Parts,
  session: Connection,
  { scenarioId, restoreId }: RestoreOffer,
  disks: readonly TargetDisk[],
): Promise<Found> {
  const restore = { scenarioId, restoreId };
  await session.request('restoreProve', restore);
  const ours = new Map<string, Buffer>();
  const digests: DiskDigest[] = [];
  for (const { diskId, device, sizeBytes } of disks) {
    const { digest, leaves } = await proveDisk(device, { sizeBytes, signal: parts.signal });
    ours.set(diskId, leaves);
    digests.push({ diskId, digest, sizeBytes });
  }
  for (;;) {
    parts.signal.throwIfAborted();
    const ask = { ...restore, digests, waitMs: WAIT_MS };
    const { state, diskIds = [] } = await session.request(
      'restoreProven',
      ask,
      WAIT_MS + parts.timings.requestMs,
    );
    if (state === 'equal') return { digests };
    if (state === 'waiting') continue;
    const only: number[][] = [];
    for (const { diskId } of disks) {
      const leaves = ours.get(diskId);
      const isDifferent = leaves && diskIds.includes(diskId);
      only.push(
        isDifferent
          ? differingChunks(leaves, await theirLeaves(session, { ...restore, diskId }, leaves))
          : [],
      );
    }
    return { digests, only };
  }
}

async function theirLeaves(
  session: Connection,
  disk: { scenarioId: string; restoreId: string; diskId: string },
  { length }: Buffer,
): Promise<Buffer> {
  const leaves = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const answer = await session.request('restoreLeaves', { ...disk, fromByte: at });
    const slice = Buffer.from(answer.leaves, 'base64');
    if (slice.length === 0 || slice.length % LEAF_BYTES !== 0 || answer.totalBytes !== length)
      throw new StandbyError({
        code: 'PROTOCOL_BROKEN',
        what: 'The appliance sent leaves of another disk.',
      });
    at += slice.copy(leaves, at);
  }
  return leaves;
}

function outcomeOf(
  parts: Parts,
  offer: RestoreOffer,
  disks: readonly TargetDisk[],
  digests: readonly DiskDigest[],
): RestoreOutcome {
  const { scenarioId, restoreId, final } = offer;
  parts.tell({ kind: 'equal', final });
  return {
    scenarioId,
    restoreId,
    disks: digests.map((digest, index) => ({ ...digest, target: disks[index]?.device.path ?? '' })),
    ...parts.sent,
    mayBoot: final,
  };
}

function neverEqual(
  offer: RestoreOffer,
  disks: readonly TargetDisk[],
  only: readonly (readonly number[])[],
): StandbyError {
  const named = disks.flatMap(({ device }, index) => {
    const count = only[index]?.length ?? 0;
    return count > 0 ? [`${device.path}: ${count} MiB blocks`] : [];
  });
  return new StandbyError({
    code: 'TARGET_DIFFERS',
    what: `The target disks of ${offer.scenarioId} do not keep what is written to them.`,
    why: `After ${ROUNDS_MAX} rounds they still differ (${named.join('; ')}).`,
    next: 'See that nothing else writes these disks; otherwise replace them.',
  });
}

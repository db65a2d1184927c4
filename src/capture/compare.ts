import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { ChunkSet } from '../block/chunks.ts';
import { type FileFolder, openFolder } from '../block/files.ts';
import { openDevice } from '../block/open-device.ts';
import { readStateJson, writeStateFile } from '../block/state-file.ts';
import { inputError } from '../errors.ts';
import type { MasterDisk } from '../model/disk.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import { BlockDigests } from './block-digests.ts';
import type { CaptureMethod, CaptureOptions, CaptureSession, LiveOptions, TakenViews } from './capture.ts';
import type { ComparedDisk, Digest } from './compare-round.ts';
import { CompareStream, type RoundSource } from './compare-stream.ts';
import { diskProblem, diskResized, viewMoved } from './disk-problems.ts';
import { hideExcluded, rangesOf } from './excluded.ts';
import { runHook } from './hook.ts';

/**
 * Captures any disk that can be read, by comparing: a consistent view is taken (hooks make it one: a snapshot, a
 * frozen file system), its blocks are hashed, and those the appliance does not have come as one atomic set.
 * Promises: a set is never a mixture of two states, or the disk is named that moved while it was read. Costs one read
 * of the disks for each round. Dies at any line: the next session compares again; nothing is missed.
 */
export const compare: CaptureMethod = {
  name: 'compare',
  title: 'Compare the disks from time to time (any system; with a snapshot command for a consistent view)',
  live: true,
  open: (disks, options) => CompareSession.open(disks, options),
};

const INTERVAL_MS = 60_000;
const ROUND_FILE = 'round.json';
const roundSchema = z.object({ round: z.number().int().nonnegative() });

/** What tells a comparing session where it need not look. */
export interface Tracker {
  /** Before the view is taken: what changed from now on belongs to the next round. */
  begin(): Promise<void>;
  /** Undefined: not known; everything is read. */
  changed(diskId: string): ChunkSet | undefined;
  ended(isCommitted: boolean): Promise<void>;
  close(): Promise<void>;
  readonly reason: string | undefined;
}

interface View {
  readonly disk: MasterDisk;
  readonly device: BlockDevice;
  readonly identity: string;
}

export class CompareSession implements CaptureSession, RoundSource {
  readonly changes: CompareStream;
  readonly #disks: readonly MasterDisk[];
  readonly #options: CaptureOptions;
  readonly #live: LiveOptions;
  readonly #compared: readonly ComparedDisk[];
  readonly #tracker: Tracker | undefined;
  /** Held from `open`, or from when they are needed, until a round begins: what a first copy reads. */
  #views: readonly View[] | undefined;
  /** Of the system, where it takes them. */
  #taken: TakenViews | undefined;
  #consistency: string | undefined;

  private constructor(
    disks: readonly MasterDisk[],
    options: CaptureOptions,
    live: LiveOptions,
    parts: { compared: readonly ComparedDisk[]; digest: Digest; tracker: Tracker | undefined },
  ) {
    this.#disks = disks;
    this.#options = options;
    this.#live = live;
    this.#compared = parts.compared;
    this.#tracker = parts.tracker;
    this.changes = new CompareStream({
      disks: parts.compared,
      source: this,
      digest: parts.digest,
      clock: live.clock,
      log: live.log,
      intervalMs: live.compare?.intervalMs ?? INTERVAL_MS,
      consistency: () => this.#consistency,
      ...(parts.tracker ? { why: () => parts.tracker?.reason } : {}),
    });
  }

  static async open(
    disks: readonly MasterDisk[],
    options: CaptureOptions,
    makeTracker?: (folder: FileFolder) => Promise<Tracker>,
  ): Promise<CompareSession> {
    const { live } = options;
    if (!live) throw inputError('CAPTURE_INCOMPLETE', 'A comparing capture needs a folder for its state.');
    await mkdir(live.folder, { recursive: true, mode: 0o700 });
    const folder = await openFolder(live.folder);
    const compared: ComparedDisk[] = [];
    for (const { id, sizeBytes } of disks) {
      const digests = await BlockDigests.open(folder, id);
      compared.push({ id, sizeBytes, excluded: rangesOf(options.excluded, id), digests });
    }
    let tracker: Tracker | undefined;
    try {
      tracker = await makeTracker?.(folder);
      const session = new CompareSession(disks, options, live, {
        compared,
        digest: await makeDigest(),
        tracker,
      });
      if (!live.compare?.takeLater) await session.#take();
      return session;
    } catch (error) {
      await tracker?.close();
      for (const { digests } of compared) await digests.close();
      throw error;
    }
  }

  view(diskId: string): BlockDevice {
    const found = this.#views?.find(({ disk }) => disk.id === diskId);
    if (!found) throw new RangeError(`there is no view of disk ${diskId}`);
    const excluded = rangesOf(this.#options.excluded, diskId);
    const refuse = async () => {
      throw new RangeError(`the view of disk ${diskId} is read-only`);
    };
    return {
      path: found.device.path,
      sizeBytes: found.device.sizeBytes,
      kind: found.device.kind,
      async read(target, offsetBytes) {
        await found.device.read(target, offsetBytes);
        hideExcluded(target, offsetBytes, excluded);
      },
      write: refuse,
      sync: refuse,
      identity: () => found.device.identity(),
      close: async () => {},
    };
  }

  async assertUnchanged(): Promise<void> {
    await this.#taken?.assertStands();
    for (const { disk, device, identity } of this.#views ?? []) {
      const now = await device.identity().catch((error: unknown) => {
        throw diskProblem(disk, error);
      });
      if (now === identity) continue;
      const again = await openDevice(device.path, { mode: 'read' }).catch((error: unknown) => {
        throw diskProblem(disk, error);
      });
      await again.close();
      throw again.sizeBytes === disk.sizeBytes
        ? viewMoved(disk, device.path)
        : diskResized(disk, again.sizeBytes);
    }
  }

  async take(): Promise<ReadonlyMap<string, BlockDevice>> {
    if (this.#views) await this.#letGo();
    return await this.held();
  }

  async held(): Promise<ReadonlyMap<string, BlockDevice>> {
    if (!this.#views) await this.#take();
    return new Map((this.#views ?? []).map(({ disk, device }) => [disk.id, device]));
  }

  async #take(): Promise<void> {
    const { compare: settings } = this.#live;
    await this.#tracker?.begin();
    await runHook('before', settings?.before, settings?.hookTimeoutMs);
    const views: View[] = [];
    try {
      this.#taken = await settings?.views?.take(this.#disks, this.#options.excluded);
      this.#consistency = this.#taken?.consistency;
      for (const disk of this.#disks) {
        const device = this.#taken?.devices.get(disk.id) ?? (await this.#openAtPath(disk));
        views.push({ disk, device, identity: await device.identity() });
        if (device.sizeBytes !== disk.sizeBytes) throw diskResized(disk, device.sizeBytes);
      }
      this.#views = views;
    } catch (error) {
      this.#views = views;
      await this.#letGo();
      throw error;
    }
  }

  async #openAtPath(disk: MasterDisk): Promise<BlockDevice> {
    const path = this.#live.compare?.readPaths?.[disk.id] ?? disk.path;
    const device = await openDevice(path, { mode: 'read' }).catch((error: unknown) => {
      throw diskProblem(disk, error);
    });
    try {
      if (device.kind === 'device') await forgetCached(disk, path);
      return device;
    } catch (error) {
      await device.close();
      throw error;
    }
  }

  async release(): Promise<void> {
    try {
      await this.assertUnchanged();
    } finally {
      await this.#letGo();
    }
  }

  async #letGo(): Promise<void> {
    const views = this.#views ?? [];
    const taken = this.#taken;
    this.#views = undefined;
    this.#taken = undefined;
    try {
      if (taken) await taken.release();
      else for (const { device } of views) await device.close();
    } finally {
      await runHook('after', this.#live.compare?.after, this.#live.compare?.hookTimeoutMs);
    }
  }

  changed(diskId: string): ChunkSet | undefined {
    return this.#tracker?.changed(diskId);
  }

  async ended(isCommitted: boolean): Promise<void> {
    await this.#tracker?.ended(isCommitted);
  }

  async lastRound(): Promise<number> {
    return (await readStateJson(join(this.#live.folder, ROUND_FILE), roundSchema))?.round ?? 0;
  }

  async nextRound(after: number): Promise<number> {
    const round = Math.max(await this.lastRound(), after) + 1;
    await writeStateFile(join(this.#live.folder, ROUND_FILE), JSON.stringify({ round }));
    return round;
  }

  holdViews(): Promise<() => Promise<void>> {
    return this.changes.hold();
  }

  async close(): Promise<void> {
    await this.changes.close();
    if (this.#views) await this.#letGo();
    await this.#tracker?.close();
    for (const { digests } of this.#compared) await digests.close();
  }
}

/** A file system writes past the device's own cache, and what is cached there may be old. */
async function forgetCached(disk: MasterDisk, path: string): Promise<void> {
  await promisify(execFile)('blockdev', ['--flushbufs', path]).catch((error: unknown) => {
    throw diskProblem(disk, error);
  });
}

/** Loaded when it is needed: it is WebAssembly. */
async function makeDigest(): Promise<Digest> {
  const { createXXHash128 } = await import('hash-wasm');
  const hasher = await createXXHash128();
  return (bytes) => {
    hasher.init();
    hasher.update(bytes);
    return hasher.digest('binary');
  };
}

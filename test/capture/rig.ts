import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Change, ChangeStream, LiveOptions } from '../../src/capture/capture.ts';
import { systemClock } from '../../src/clock.ts';
import { silentLog } from '../../src/log.ts';
import type { MasterDisk } from '../../src/model/disk.ts';

/** What the tests of captures share: folders, disks, independent clients, and a copy that follows a stream. */
export const run = promisify(execFile);

export function makeFolder(parent = tmpdir()): { path: string; remove(): void } {
  const path = mkdtempSync(join(parent, 'standby-capture-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export function makeDisk(folder: string, id: string, sizeBytes: number): MasterDisk {
  const path = join(folder, `${id}.img`);
  writeFileSync(path, '');
  truncateSync(path, sizeBytes);
  return {
    id,
    path,
    sizeBytes,
    logicalSectorBytes: 512,
    partitionTable: 'none',
    boot: id === 'disk0',
    volumes: [],
  };
}

export function liveOptions(folder: string, more: Partial<LiveOptions> = {}): LiveOptions {
  return { folder: join(folder, 'state'), clock: systemClock, log: silentLog, ...more };
}

/** Deterministic and quick: a seed that fails is a seed that can be run again. */
export function makeRandom(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** A copy of the master's disks in memory that applies a stream as an appliance must. */
export class Replica {
  readonly disks: Map<string, Buffer>;
  /** The last sequence that came. */
  position = 0n;
  openSet: bigint | undefined;
  flushes = 0;
  sets = 0;
  /** Bytes of data that came. */
  toldBytes = 0;
  #held: Change[] = [];

  constructor(disks: Readonly<Record<string, Uint8Array>>) {
    this.disks = new Map(Object.entries(disks).map(([id, bytes]) => [id, Buffer.from(bytes)]));
  }

  /** As it is, with what it holds of an open set. */
  clone(): Replica {
    const copy = new Replica(Object.fromEntries(this.disks));
    copy.position = this.position;
    copy.openSet = this.openSet;
    copy.toldBytes = this.toldBytes;
    copy.#held = [...this.#held];
    return copy;
  }

  take(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.sequence <= this.position) throw new Error(`${change.sequence} came after ${this.position}`);
      this.position = change.sequence;
      this.toldBytes += change.data?.byteLength ?? 0;
      this.#takeOne(change);
    }
  }

  #takeOne(change: Change): void {
    if (change.kind === 'set-begin') {
      if (change.setId !== this.openSet) this.#held = [];
      this.openSet = change.setId;
    } else if (change.kind === 'set-end') {
      if (change.setId !== this.openSet) throw new Error(`set ${change.setId} ends, ${this.openSet} is open`);
      for (const held of this.#held) this.#apply(held);
      this.#held = [];
      this.openSet = undefined;
      this.sets++;
    } else if (this.openSet !== undefined) this.#held.push(change);
    else this.#apply(change);
  }

  #apply(change: Change): void {
    if (change.kind === 'flush') {
      this.flushes++;
      return;
    }
    const disk = this.disks.get(change.diskId);
    if (!disk) throw new Error(`a change of ${change.diskId}`);
    const { offsetBytes, lengthBytes, data } = change;
    if (change.kind === 'data') {
      if (data?.byteLength !== lengthBytes) throw new Error(`${data?.byteLength} bytes of ${lengthBytes}`);
      disk.set(data, offsetBytes);
    } else disk.fill(0, offsetBytes, offsetBytes + lengthBytes);
  }
}

/** Follows the stream until `enough` says so. */
export async function follow(
  stream: ChangeStream,
  replica: Replica,
  enough: () => boolean,
  acknowledge = true,
): Promise<void> {
  const limit = AbortSignal.timeout(15_000);
  while (!enough()) {
    const changes = await stream.next(limit).catch((error: unknown) => {
      const { lastSequence, durableSequence, mode, reason, dirtyBytes } = stream.state();
      const state = `${mode} ${reason ?? ''} last ${lastSequence} durable ${durableSequence} dirty ${dirtyBytes}`;
      throw new Error(`nothing came after ${replica.position}: ${state}`, { cause: error });
    });
    replica.take(changes);
    if (acknowledge) await stream.acknowledge(replica.position);
  }
}

/** Until all is told and no set is open. */
export async function catchUp(stream: ChangeStream, replica: Replica): Promise<void> {
  await follow(stream, replica, () => {
    const { mode, lastSequence } = stream.state();
    return mode === 'ordered' && replica.position >= lastSequence;
  });
}

/** Whether the kernel lets us make loop devices and follow writes. */
export function hasTracing(): boolean {
  if (process.getuid?.() !== 0 || !existsSync('/dev/loop-control')) return false;
  if (existsSync('/sys/kernel/tracing/instances')) return true;
  return spawnSync('mount', ['-t', 'tracefs', 'tracefs', '/sys/kernel/tracing']).status === 0;
}

/** Image files as block devices. */
export class LoopDevices {
  #paths: string[] = [];

  async attach(disks: readonly MasterDisk[]): Promise<MasterDisk[]> {
    const attached: MasterDisk[] = [];
    for (const disk of disks) {
      const { stdout } = await run('losetup', ['--find', '--show', disk.path]);
      this.#paths.push(stdout.trim());
      attached.push({ ...disk, path: stdout.trim() });
    }
    return attached;
  }

  async detach(): Promise<void> {
    for (const path of this.#paths.splice(0)) await run('losetup', ['--detach', path]);
  }
}

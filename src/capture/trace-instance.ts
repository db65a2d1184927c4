import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  constants,
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rmdir,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf, StandbyError } from '../errors.ts';
import { lostEvents, parseTraceLine, type TraceLine } from './trace-events.ts';

/**
 * A private instance of the kernel's tracing that sees which sectors of some devices are written. Promises: every
 * completed write since `open` is told by `drain`, or `drain` says that there is a gap. Dies at any line: the instance
 * stays in the kernel until the next start takes it away.
 */
const PLACES = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'];
const BUFFER_KIB = 4096;
const EVENT = 'events/block/block_rq_complete';
const run = promisify(execFile);

export interface Writes {
  readonly writes: readonly Extract<TraceLine, { kind: 'write' }>[];
  readonly hasGap: boolean;
}

export class TraceInstance {
  readonly #folder: string;
  readonly #pipe: FileHandle;
  readonly #buffer = Buffer.alloc(256 * 1024);
  #rest = '';
  #lost = 0;

  private constructor(folder: string, pipe: FileHandle) {
    this.#folder = folder;
    this.#pipe = pipe;
  }

  /** `devices` as `major:minor`; `owner` names the instance, so that a left-over is found again. */
  static async open(devices: readonly string[], owner: string): Promise<TraceInstance> {
    const name = `standby-${createHash('sha256').update(owner).digest('hex').slice(0, 12)}`;
    try {
      const folder = join(await tracingFolder(), 'instances', name);
      await remove(folder);
      await mkdir(folder);
      await writeFile(join(folder, 'buffer_size_kb'), String(BUFFER_KIB));
      await writeFile(
        join(folder, EVENT, 'filter'),
        devices.map((device) => `dev == ${kernelNumber(device)}`).join(' || '),
      );
      await writeFile(join(folder, EVENT, 'enable'), '1');
      const pipe = await open(join(folder, 'trace_pipe'), constants.O_RDONLY | constants.O_NONBLOCK);
      return new TraceInstance(folder, pipe);
    } catch (error) {
      throw new StandbyError({
        code: 'TRACKING_UNAVAILABLE',
        what: 'The kernel of this master does not let us follow its writes.',
        why: messageOf(error),
        next: 'Run the engine as root on Linux with tracefs, or use capture compare.',
        cause: error,
      });
    }
  }

  /** All writes that completed before this call and were not told yet. */
  async drain(): Promise<Writes> {
    let text = this.#rest;
    for (;;) {
      const count = await this.#read();
      if (count === 0) break;
      text += this.#buffer.toString('latin1', 0, count);
    }
    const lines = text.split('\n');
    this.#rest = lines.pop() ?? '';
    const writes: Extract<TraceLine, { kind: 'write' }>[] = [];
    let hasGap = false;
    for (const line of lines.map(parseTraceLine)) {
      if (line.kind === 'gap') hasGap = true;
      if (line.kind === 'write') writes.push(line);
    }
    const lost = await this.#countLost();
    if (lost !== this.#lost) hasGap = true;
    this.#lost = lost;
    return { writes, hasGap };
  }

  async #read(): Promise<number> {
    try {
      return (await this.#pipe.read(this.#buffer, 0, this.#buffer.length, null)).bytesRead;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0; // All was read.
      throw error;
    }
  }

  async #countLost(): Promise<number> {
    let lost = 0;
    for (const processor of await readdir(join(this.#folder, 'per_cpu'))) {
      lost += lostEvents(await readFile(join(this.#folder, 'per_cpu', processor, 'stats'), 'utf8'));
    }
    return lost;
  }

  async close(): Promise<void> {
    await this.#pipe.close();
    await remove(this.#folder);
  }
}

async function tracingFolder(): Promise<string> {
  const [first = ''] = PLACES;
  for (const place of PLACES) if (await hasInstances(place)) return place;
  await run('mount', ['-t', 'tracefs', 'tracefs', first]);
  return first;
}

async function hasInstances(place: string): Promise<boolean> {
  try {
    return (await readdir(place)).includes('instances');
  } catch (error) {
    if (['ENOENT', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

async function remove(folder: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** The kernel's own way of putting both numbers into one. */
function kernelNumber(device: string): number {
  const [major = 0, minor = 0] = device.split(':').map(Number);
  return major * 2 ** 20 + minor;
}

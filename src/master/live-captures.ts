import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CaptureSession, ChangeStream, ExcludedRange, LiveOptions } from '../capture/capture.ts';
import { captureMethod } from '../capture/index.ts';
import { NbdSession, nbd } from '../capture/nbd.ts';
import type { Clock } from '../clock.ts';
import { isStandbyError, StandbyError } from '../errors.ts';
import { makeInTurn } from '../in-turn.ts';
import type { Log } from '../log.ts';
import type { MasterDisk, MasterInventory } from '../model/disk.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import type { Params } from '../wire/messages.ts';
import {
  isSameStream,
  type KnownStream,
  knownStreamOf,
  readKnownStreams,
  writeKnownStreams,
} from './live-record.ts';

/**
 * The live captures of this engine: they outlive every session, so that the guest keeps its disks and no change is
 * missed while the appliance is away. Promises: a stream that goes on is the one that began (same epoch, disks and
 * exclusions), or it is said to be lost. Dies at any line: what was started is in `live.json` and is opened again before
 * the appliance is dialled; spool, maps and digests say by themselves what they still know.
 */
export interface LiveCapturesOptions {
  readonly stateFolder: string;
  readonly disks: readonly MasterDisk[];
  readonly clock: Clock;
  readonly log: Log;
  /** Serve all disks from the start. */
  readonly nbd?: LiveOptions['nbd'];
  /** For captures that compare. */
  readonly compare?: LiveOptions['compare'];
}

export interface LiveStream {
  readonly known: KnownStream;
  readonly session: CaptureSession;
  readonly changes: ChangeStream;
}

export interface StartedStream {
  /** Undefined: it is lost, and the reason says why. */
  readonly stream?: LiveStream;
  readonly originSequence?: bigint;
  readonly lost?: StandbyError;
}

export class LiveCaptures {
  readonly #options: LiveCapturesOptions;
  readonly #served: NbdSession | undefined;
  readonly #streams = new Map<string, LiveStream>();
  /** How to let go of the views that a copy reads. */
  readonly #held = new Map<string, () => Promise<void>>();
  #known: readonly KnownStream[];
  readonly #inTurn = makeInTurn();

  private constructor(
    options: LiveCapturesOptions,
    known: readonly KnownStream[],
    served: NbdSession | undefined,
  ) {
    this.#options = options;
    this.#known = known;
    this.#served = served;
  }

  static async open(options: LiveCapturesOptions): Promise<LiveCaptures> {
    const known = await readKnownStreams(options.stateFolder);
    const served = options.nbd && (await serve(options, options.nbd, known));
    const captures = new LiveCaptures(options, known, served);
    for (const stream of known) await captures.#reopen(stream);
    return captures;
  }

  /** Where a guest finds each disk, when they are served. */
  get served(): MasterInventory['nbd'] {
    const session = this.#served;
    return session?.changes.disks.map(({ id }) => ({ diskId: id, uri: session.uriOf(id) }));
  }

  has(scenarioId: string): boolean {
    return this.#streams.has(scenarioId);
  }

  /** Begins a stream anew, or finds the one that goes on. */
  start(start: Params<'streamStart'>): Promise<StartedStream> {
    return this.#inTurn(() => (start.fresh ? this.#begin(start) : this.#goOn(start)));
  }

  async #begin(start: Params<'streamStart'>): Promise<StartedStream> {
    const known = knownStreamOf(start);
    const { scenarioId } = known;
    await this.#remember(
      this.#known.filter((each) => each.scenarioId !== scenarioId && !shares(each, known)),
    );
    await this.#let(scenarioId);
    const stream = await this.#open(known, { takeLater: false });
    if (stream.session instanceof NbdSession)
      await stream.session.changes.exclude(excludedOf(known, this.#disks()));
    const originSequence = await stream.changes.restart();
    await this.#remember([...this.#known, known]);
    return { stream, originSequence };
  }

  async #goOn(start: Params<'streamStart'>): Promise<StartedStream> {
    const wanted = knownStreamOf(start);
    const known = this.#known.find(({ scenarioId }) => scenarioId === wanted.scenarioId);
    if (!isSameStream(known, wanted)) return { lost: unknownStream(wanted, known) };
    return { stream: this.#streams.get(wanted.scenarioId) ?? (await this.#open(wanted)) };
  }

  /** `forget`: closed for good. Otherwise it goes on noting what changes. */
  stop(scenarioId: string, forget: boolean): Promise<void> {
    return this.#inTurn(async () => {
      if (!forget) return;
      await this.#remember(this.#known.filter((each) => each.scenarioId !== scenarioId));
      await this.#let(scenarioId);
      await rm(this.#folderOf(scenarioId), { recursive: true, force: true });
    });
  }

  /** The views of a stream's disks, to be copied; its `close` ends the copy, not the capture. */
  copyFrom(scenarioId: string): Promise<CaptureSession> {
    return this.#inTurn(async () => {
      const stream = this.#streams.get(scenarioId);
      if (!stream) throw notStarted(scenarioId);
      await this.#letViewsGo(scenarioId);
      const letGo = await stream.session.holdViews?.();
      if (letGo) this.#held.set(scenarioId, letGo);
      return copyOf(stream, () => this.letViewsGo(scenarioId));
    });
  }

  /** The stream goes on, where it waited for a copy. */
  letViewsGo(scenarioId: string): Promise<void> {
    return this.#inTurn(() => this.#letViewsGo(scenarioId));
  }

  async #letViewsGo(scenarioId: string): Promise<void> {
    const letGo = this.#held.get(scenarioId);
    this.#held.delete(scenarioId);
    await letGo?.();
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      for (const scenarioId of [...this.#streams.keys()]) await this.#let(scenarioId);
      await this.#served?.close();
    });
  }

  async #reopen(known: KnownStream): Promise<void> {
    try {
      await this.#open(known);
    } catch (error) {
      if (!isStandbyError(error)) throw error;
      const { scenarioId, capture } = known;
      this.#options.log.error('a capture cannot be opened; it is tried again when its stream goes on', {
        scenarioId,
        capture,
        error: error.message,
      });
    }
  }

  async #open(known: KnownStream, { takeLater } = { takeLater: true }): Promise<LiveStream> {
    const { scenarioId, capture } = known;
    const method = captureMethod(capture);
    const disks = known.disks.map((wanted) => diskOf(wanted, this.#options.disks));
    let session: CaptureSession;
    if (method === nbd) {
      if (!this.#served) throw notServed(scenarioId);
      session = this.#served;
    } else {
      const { clock, log, compare } = this.#options;
      const folder = this.#folderOf(scenarioId);
      const excluded = excludedOf(known, []);
      session = await method.open(disks, {
        excluded,
        live: { folder, clock, log, compare: { ...compare, takeLater } },
      });
    }
    const { changes } = session;
    if (!changes) {
      await session.close();
      throw notLive(capture);
    }
    const stream = { known, session, changes };
    this.#streams.set(scenarioId, stream);
    return stream;
  }

  /** What is served stays served: a guest runs on it. */
  async #let(scenarioId: string): Promise<void> {
    const stream = this.#streams.get(scenarioId);
    this.#streams.delete(scenarioId);
    await this.#letViewsGo(scenarioId);
    if (!stream || stream.session === this.#served) return;
    await stream.session.close();
  }

  async #remember(streams: readonly KnownStream[]): Promise<void> {
    await writeKnownStreams(this.#options.stateFolder, streams);
    this.#known = streams;
    for (const scenarioId of this.#streams.keys()) {
      if (!streams.some((each) => each.scenarioId === scenarioId)) await this.#let(scenarioId);
    }
  }

  #disks(): readonly MasterDisk[] {
    return this.#options.disks;
  }

  #folderOf(scenarioId: string): string {
    return join(this.#options.stateFolder, 'live', scenarioId);
  }
}

async function serve(
  options: LiveCapturesOptions,
  settings: NonNullable<LiveOptions['nbd']>,
  known: readonly KnownStream[],
): Promise<NbdSession> {
  const { stateFolder, disks, clock, log } = options;
  const stream = known.find(({ capture }) => capture === nbd.name);
  const session = await nbd.open(disks, {
    excluded: stream ? excludedOf(stream, disks) : [],
    live: { folder: join(stateFolder, 'nbd'), clock, log, nbd: settings },
  });
  if (!(session instanceof NbdSession)) throw new TypeError('nbd opens sessions of its own');
  for (const { id } of disks) log.info('disk served', { diskId: id, uri: session.uriOf(id) });
  return session;
}

/** All disks that are served have one order, and so one stream. */
function shares(a: KnownStream, b: KnownStream): boolean {
  return a.capture === nbd.name && b.capture === nbd.name;
}

/** Of a disk that is not part of the stream, everything. */
function excludedOf(known: KnownStream, all: readonly MasterDisk[]): ExcludedRange[] {
  const ranges = known.disks.flatMap(({ diskId, excluded }) =>
    excluded.map((range) => ({ diskId, ...range })),
  );
  for (const { id, sizeBytes } of all) {
    if (!known.disks.some(({ diskId }) => diskId === id))
      ranges.push({ diskId: id, offsetBytes: 0, sizeBytes });
  }
  return ranges;
}

function diskOf(wanted: KnownStream['disks'][number], disks: readonly MasterDisk[]): MasterDisk {
  const { diskId, sizeBytes } = wanted;
  const disk = disks.find(({ id }) => id === diskId);
  if (!disk) {
    throw new StandbyError({
      code: 'DISK_UNKNOWN',
      what: `This master has no disk ${diskId}.`,
      why: `It joined with ${disks.map(({ id }) => id).join(', ')}.`,
      next: 'Join the master again with all its disks.',
    });
  }
  if (disk.sizeBytes === sizeBytes) return disk;
  throw new StandbyError({
    code: disk.sizeBytes < sizeBytes ? 'DISK_SHRANK' : 'DISK_CHANGED',
    what: `Disk ${diskId} (${disk.path}) has ${disk.sizeBytes} bytes, and had ${sizeBytes}.`,
    next: 'Edit the scenario: it takes the new size, and its replica is made anew.',
  });
}

/** Its identity is that of the disk, not of what is on it: that changes, and is told. */
function copyOf({ session }: LiveStream, close: () => Promise<void>): CaptureSession {
  return {
    view: (diskId) => {
      const view = session.view(diskId);
      const live: BlockDevice = {
        path: view.path,
        sizeBytes: view.sizeBytes,
        kind: view.kind,
        read: (target, offsetBytes) => view.read(target, offsetBytes),
        write: (source, offsetBytes) => view.write(source, offsetBytes),
        sync: () => view.sync(),
        identity: async () => `live ${diskId} size=${view.sizeBytes}`,
        close: async () => undefined,
      };
      return live;
    },
    assertUnchanged: () => session.assertUnchanged(),
    // Whoever copies sees by this that the disk is live, and leaves nothing out.
    ...(session.changes ? { changes: session.changes } : {}),
    close,
  };
}

function unknownStream(wanted: KnownStream, known: KnownStream | undefined): StandbyError {
  const why = known
    ? `It follows scenario ${known.scenarioId} by ${known.capture} in epoch ${known.epoch}, or other disks of it.`
    : 'Its state folder is new, or another scenario took over its disks.';
  return new StandbyError({
    code: 'STREAM_LOST',
    what: `This master does not know what changed for scenario ${wanted.scenarioId}.`,
    why,
    next: 'Run the scenario again: it is synchronised anew.',
  });
}

function notServed(scenarioId: string): StandbyError {
  return new StandbyError({
    code: 'NBD_NOT_SERVED',
    what: `The master's disks are not served, so scenario ${scenarioId} cannot be followed by nbd.`,
    why: 'Its engine was started without `--nbd`.',
    next: 'Start `standby engine master --nbd <socket>` there and attach the guest to it, or choose another capture.',
  });
}

function notLive(capture: string): StandbyError {
  return new StandbyError({
    code: 'CAPTURE_NOT_LIVE',
    what: `Capture ${capture} has no stream of changes.`,
    kind: 'input',
  });
}

export function notStarted(scenarioId: string): StandbyError {
  return new StandbyError({
    code: 'STREAM_UNKNOWN',
    what: `No stream of scenario ${scenarioId} is open on the master.`,
    retry: 'later',
  });
}

export function streamLost(reason: string | undefined): StandbyError {
  return new StandbyError({
    code: 'STREAM_LOST',
    what: 'The master no longer knows what changed on its disks.',
    ...(reason === undefined ? {} : { why: reason }),
    next: 'Run the scenario again: it is synchronised anew, and only what differs is sent.',
  });
}

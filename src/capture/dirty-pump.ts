import type { RecordedDisk } from './recorded-disk.ts';

/**
 * Moves what is dirty from the disks into the spool, in steps between the guest's writes. It keeps nothing: a step that
 * was cut leaves its granules dirty, and what it appended is the disk's content at its place in the order.
 */
export interface PumpOwner {
  readonly disks: readonly RecordedDisk[];
  /** Somebody reads, something is dirty, and nothing is in the way. */
  isWanted(): boolean;
  hasRoom(): boolean;
  /** After each round over the disks. */
  onMoved(): void;
  /** A disk could not be read: see `takeError`. */
  onFailed(): void;
}

export class DirtyPump {
  readonly #owner: PumpOwner;
  #running: Promise<void> | undefined;
  #error: unknown;

  constructor(owner: PumpOwner) {
    this.#owner = owner;
  }

  /** The step under way ends before it resolves. */
  get ended(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  get hasFailed(): boolean {
    return this.#error !== undefined;
  }

  takeError(): unknown {
    const error = this.#error;
    this.#error = undefined;
    return error;
  }

  /** Runs as long as it is wanted and there is room. */
  kick(): void {
    const owner = this.#owner;
    if (!owner.isWanted() || this.#running || !owner.hasRoom()) return;
    this.#running = this.#pump().then(
      (end) => {
        this.#running = undefined;
        // Room may have been made while it was ending. When all that is dirty is being written to, the writers call.
        if (end === 'no-room') this.kick();
      },
      (error: unknown) => {
        this.#running = undefined;
        this.#error = error;
        owner.onFailed();
      },
    );
  }

  /** Ends when the spool has no room for it, or when nothing dirty is left that could be read now. */
  async #pump(): Promise<'no-room' | 'nothing'> {
    const owner = this.#owner;
    for (;;) {
      let moved = false;
      for (const disk of owner.disks) {
        if (!owner.isWanted()) return 'nothing';
        if (!owner.hasRoom()) return 'no-room';
        if (await disk.pump()) moved = true;
      }
      owner.onMoved();
      if (!moved) return 'nothing';
    }
  }
}

import { makeInTurn } from '../in-turn.ts';
import type { JournalFile, JournalFiles } from './files.ts';
import { errnoOf, unlinkIfThere } from './files.ts';
import { isNoSpace, journalDiskFull } from './problems.ts';

/**
 * The segment files of one log: `<log>-<number>.seg`, all of one size, filled with zeros before they are used, and a few
 * spares: what was used before costs nothing when it is used again. Promises: a file that `prepare` returned is there after a crash, with its full size. A file becomes a
 * spare only when nobody needs what is in it; its old frames carry lower groups and are never taken for new ones.
 * Dies at any line: a half-filled new file is under its `.new` name and removed at the next start.
 */
export interface SegmentRoom {
  /** Called before a file is made. Throws JOURNAL_FULL when there may be none. */
  allow(log: string): Promise<void>;
  /** Frees at least one segment file of either log; `false` when none can be freed. */
  shrink(why: string): Promise<boolean>;
}

export interface SegmentOptions {
  readonly folder: string;
  readonly log: string;
  readonly segmentBytes: number;
  /** So many segments that nobody needs are kept to be used again. */
  readonly sparesMax: number;
}

export class SegmentFiles {
  readonly #files: JournalFiles;
  readonly folder: string;
  readonly log: string;
  readonly segmentBytes: number;
  readonly numbers = new Set<number>();
  readonly #sparesMax: number;
  readonly #spares = new Set<number>();
  #making = false;
  /** Names change one after the other. */
  readonly #inTurn = makeInTurn();

  constructor(files: JournalFiles, options: SegmentOptions) {
    this.#files = files;
    this.folder = options.folder;
    this.log = options.log;
    this.segmentBytes = options.segmentBytes;
    this.#sparesMax = options.sparesMax;
  }

  get hasSpare(): boolean {
    return this.#spares.size > 0;
  }

  /** How many files there are, spares included. */
  get count(): number {
    return this.numbers.size + this.#spares.size;
  }

  /** With the one that is being made. */
  get countSoon(): number {
    return this.count + (this.#making ? 1 : 0);
  }

  name(number: number): string {
    return `${this.log}-${String(number).padStart(10, '0')}.seg`;
  }

  async load(): Promise<number[]> {
    const names = await this.#files.list(this.folder);
    for (const name of names) {
      const number = new RegExp(`^${this.log}-(\\d{10})\\.seg$`).exec(name)?.[1];
      if (number !== undefined) this.numbers.add(Number(number));
      // Neither holds anything: a spare is made again when it is needed.
      const isSpare = new RegExp(`^${this.log}-spare[^/]*\\.seg$`).test(name);
      if (name === this.#newName() || isSpare) await this.#files.unlink(this.#path(name));
    }
    return [...this.numbers].sort((a, b) => a - b);
  }

  open(number: number): Promise<JournalFile> {
    return this.#files.open(this.#path(this.name(number)), 'existing');
  }

  /** Makes the file for a new segment, from the spare when there is one. */
  async prepare(number: number, room: SegmentRoom): Promise<JournalFile> {
    for (;;) {
      // Counted from the first question until it has its name, so that both logs never take the same room.
      this.#making = !this.hasSpare;
      try {
        if (this.#making) await room.allow(this.log);
        const made = !this.hasSpare && (await this.#makeSpace(room));
        if (await this.#inTurn(() => this.#nameSegment(number, made))) return await this.open(number);
      } finally {
        this.#making = false;
      }
    }
  }

  /** `false`: the spare went to somebody who needed its space more. */
  async #nameSegment(number: number, made: boolean): Promise<boolean> {
    const spare = made ? undefined : this.#takeSpare();
    if (!made && spare === undefined) return false;
    const from = spare ?? this.#newName();
    await this.#files.rename(this.#path(from), this.#path(this.name(number)));
    this.numbers.add(number);
    await this.#files.syncFolder(this.folder);
    return true;
  }

  /** `false`: there is a spare by now, so nothing had to be made. */
  async #makeSpace(room: SegmentRoom): Promise<boolean> {
    for (;;) {
      try {
        await this.#makeNew();
        return true;
      } catch (error) {
        if (!isNoSpace(error)) throw error;
        await unlinkIfThere(this.#files, this.#path(this.#newName()));
        if (!(await room.shrink('the journal disk is full'))) throw journalDiskFull(error);
        if (this.hasSpare) return false;
      }
    }
  }

  async #makeNew(): Promise<void> {
    await unlinkIfThere(this.#files, this.#path(this.#newName()));
    const file = await this.#files.open(this.#path(this.#newName()), 'create');
    try {
      await file.preallocate(this.segmentBytes);
    } finally {
      await file.close();
    }
  }

  /** Nobody needs this segment any more. */
  release(number: number): Promise<void> {
    return this.#inTurn(async () => {
      const path = this.#path(this.name(number));
      const spare = this.#freeSpare();
      if (spare === undefined) await this.#files.unlink(path);
      else await this.#files.rename(path, this.#path(this.#spareName(spare)));
      this.numbers.delete(number);
      if (spare !== undefined) this.#spares.add(spare);
      await this.#files.syncFolder(this.folder);
    });
  }

  /** Returns space to the file system; `false` when there was no spare. */
  dropSpare(): Promise<boolean> {
    return this.#inTurn(async () => {
      const spare = this.#takeSpare();
      if (spare === undefined) return false;
      await this.#files.unlink(this.#path(spare));
      await this.#files.syncFolder(this.folder);
      return true;
    });
  }

  /** For segments after a torn tail: what is in them must not come back, so they are never recycled. */
  async destroy(number: number): Promise<void> {
    this.numbers.delete(number);
    try {
      await this.#files.unlink(this.#path(this.name(number)));
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
    await this.#files.syncFolder(this.folder);
  }

  /** The name of a spare that nobody else gets any more. */
  #takeSpare(): string | undefined {
    for (const spare of this.#spares) {
      this.#spares.delete(spare);
      return this.#spareName(spare);
    }
    return undefined;
  }

  #freeSpare(): number | undefined {
    for (let spare = 0; spare < this.#sparesMax; spare++) if (!this.#spares.has(spare)) return spare;
    return undefined;
  }

  #spareName(spare: number): string {
    return `${this.log}-spare-${spare}.seg`;
  }

  #newName(): string {
    return `${this.log}-segment.new`;
  }

  #path(name: string): string {
    return `${this.folder}/${name}`;
  }
}

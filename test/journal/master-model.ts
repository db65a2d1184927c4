import type { JournalChange } from '../../src/journal/change.ts';
import type { Random } from './random.ts';

/**
 * The master, and the truth: what it wrote in which order, what was marked consistent, and how its disks looked at each
 * mark. It can send everything again from any position, as a sender does after a break.
 */
export type Entry =
  | { readonly kind: 'change'; readonly sequence: bigint; readonly change: JournalChange }
  | { readonly kind: 'mark'; readonly sequence: bigint; readonly masterClockMs: number }
  | { readonly kind: 'abandon'; readonly sequence: bigint; readonly masterClockMs: number };

export interface Moment {
  readonly sequence: bigint;
  /** The latest clock up to here. */
  readonly timeMs: number;
  readonly disks: readonly Buffer[];
}

export const DISKS = [
  { diskId: 'disk0', sizeBytes: 8192 },
  { diskId: 'disk1', sizeBytes: 4096 },
] as const;

const SECTOR_BYTES = 256;

export class MasterModel {
  readonly #random: Random;
  readonly entries: Entry[] = [];
  /** In order; the first is the empty replica. */
  readonly moments: Moment[];
  #disks: Buffer[];
  #beforeSet: Buffer[] | undefined;
  #sequence = 0n;
  #timeMs = 0;
  clockMs = 1_000_000;

  constructor(random: Random) {
    this.#random = random;
    this.#disks = DISKS.map(({ sizeBytes }) => Buffer.alloc(sizeBytes));
    this.moments = [{ sequence: 0n, timeMs: 0, disks: this.#copy() }];
  }

  /** Some more of the master's life. */
  live(count: number): void {
    for (let left = count; left > 0; left--) {
      if (this.#random.chance(0.05)) this.clockMs += this.#random.pick([-5000, 60_000, 3_600_000]);
      this.clockMs += this.#random.below(50);
      if (this.#beforeSet) this.#goOnWithSet();
      else if (this.#random.chance(0.35) && this.#sequence > 0n) this.mark();
      else if (this.#random.chance(0.1)) this.#openSet();
      else this.#write();
    }
  }

  mark(): void {
    if (this.#beforeSet || this.entries.at(-1)?.kind === 'mark' || this.#sequence === 0n) return;
    this.#see();
    this.entries.push({ kind: 'mark', sequence: this.#sequence, masterClockMs: this.clockMs });
    this.moments.push({ sequence: this.#sequence, timeMs: this.#timeMs, disks: this.#copy() });
  }

  /** So that everything written can be applied. */
  finish(): void {
    while (this.#beforeSet) this.#goOnWithSet();
    this.mark();
  }

  momentAt(sequence: bigint): Moment | undefined {
    return this.moments.findLast((moment) => moment.sequence === sequence);
  }

  /** What a sender sends when the other end has everything up to `sequence`. */
  from(sequence: bigint): Entry[] {
    return this.entries.filter((entry) =>
      entry.kind === 'change' ? entry.sequence > sequence : entry.sequence >= sequence,
    );
  }

  #openSet(): void {
    this.#beforeSet = this.#copy();
    this.#write('first');
  }

  #goOnWithSet(): void {
    if (this.#random.chance(0.15)) {
      this.#see();
      this.entries.push({ kind: 'abandon', sequence: this.#sequence, masterClockMs: this.clockMs });
      this.#disks = this.#beforeSet ?? this.#disks;
      this.#beforeSet = undefined;
    } else if (this.#random.chance(0.3)) {
      this.#write('last');
      this.#beforeSet = undefined;
    } else this.#write('inside');
  }

  #write(set?: 'first' | 'inside' | 'last'): void {
    const disk = this.#random.below(DISKS.length);
    const { diskId, sizeBytes } = this.#random.pick([DISKS[disk] ?? DISKS[0]]);
    const sectors = sizeBytes / SECTOR_BYTES;
    const first = this.#random.below(sectors);
    const count = 1 + this.#random.below(Math.min(4, sectors - first));
    const kind = this.#random.pick(['data', 'data', 'data', 'zero', 'trim'] as const);
    const lengthBytes = count * SECTOR_BYTES;
    const offsetBytes = first * SECTOR_BYTES;
    const data = kind === 'data' ? { data: this.#content(lengthBytes) } : {};
    this.#sequence++;
    this.#see();
    const facts = { sequence: this.#sequence, diskId, offsetBytes, lengthBytes, kind };
    const change = { ...facts, ...data, masterClockMs: this.clockMs, ...(set ? { set } : {}) };
    this.entries.push({ kind: 'change', sequence: this.#sequence, change });
    const target = this.#disks[disk]?.subarray(offsetBytes, offsetBytes + lengthBytes);
    if (data.data) target?.set(data.data);
    else target?.fill(0);
  }

  #content(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length; at += 4) bytes.writeUInt32LE(this.#random.below(2 ** 32), at);
    return bytes;
  }

  #see(): void {
    this.#timeMs = Math.max(this.#timeMs, this.clockMs);
  }

  #copy(): Buffer[] {
    return this.#disks.map((disk) => Buffer.from(disk));
  }
}

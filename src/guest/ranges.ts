/** Ranges of blocks in order, neighbours and overlaps joined, in two numbers for each. */
export class Ranges {
  readonly #firsts: Float64Array;
  readonly #ends: Float64Array;

  constructor(firsts: Float64Array, counts: Float64Array) {
    const order = new Uint32Array(firsts.length)
      .map((_, index) => index)
      .sort((a, b) => (firsts[a] ?? 0) - (firsts[b] ?? 0));
    this.#firsts = new Float64Array(firsts.length);
    this.#ends = new Float64Array(firsts.length);
    let length = 0;
    for (const index of order) {
      const first = firsts[index] ?? 0;
      const end = first + (counts[index] ?? 0);
      if (end === first) continue;
      if (length > 0 && first <= (this.#ends[length - 1] ?? 0)) {
        this.#ends[length - 1] = Math.max(end, this.#ends[length - 1] ?? 0);
        continue;
      }
      this.#firsts[length] = first;
      this.#ends[length] = end;
      length++;
    }
    this.#firsts = this.#firsts.subarray(0, length);
    this.#ends = this.#ends.subarray(0, length);
  }

  /** The parts of the ranges that lie in `[start, end)`, in order. */
  eachIn(start: number, end: number, act: (first: number, end: number) => void): void {
    for (let index = this.#firstEndingAfter(start); index < this.#firsts.length; index++) {
      const first = this.#firsts[index] ?? 0;
      if (first >= end) return;
      act(Math.max(first, start), Math.min(this.#ends[index] ?? 0, end));
    }
  }

  #firstEndingAfter(start: number): number {
    let [low, high] = [0, this.#ends.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ends[middle] ?? 0) > start) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

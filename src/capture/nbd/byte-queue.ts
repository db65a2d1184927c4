/** What arrived and was not used yet. Pieces are handed on as they came; only what lies across two is copied, when asked for whole. */
export class ByteQueue {
  #pieces: Buffer[] = [];
  #first = 0;
  length = 0;

  push(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.length += piece.length;
  }

  /** The next bytes in one piece; there are as many. */
  take(count: number): Buffer {
    const pieces = this.takePieces(count);
    return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
  }

  takePieces(count: number): Buffer[] {
    if (count > this.length) throw new RangeError(`${count} bytes wanted, ${this.length} there`);
    const taken: Buffer[] = [];
    this.length -= count;
    for (let left = count; left > 0; ) {
      const piece = this.#pieces[this.#first];
      if (!piece) throw new RangeError('the queue has lost bytes');
      if (piece.length > left) {
        taken.push(piece.subarray(0, left));
        this.#pieces[this.#first] = piece.subarray(left);
        break;
      }
      taken.push(piece);
      left -= piece.length;
      this.#first++;
    }
    if (this.#first > 64 || this.#first === this.#pieces.length) {
      this.#pieces = this.#pieces.slice(this.#first);
      this.#first = 0;
    }
    return taken;
  }
}

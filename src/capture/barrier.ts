/** Holds everything that writes; whoever comes second waits for the first to let go. */
export class Barrier {
  #released = Promise.withResolvers<void>();
  #isHeld = false;

  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** `quiet` stops what writes, and answers what to wait for. */
  async hold(quiet: () => readonly Promise<unknown>[]): Promise<void> {
    while (this.#isHeld) await this.#released.promise;
    this.#released = Promise.withResolvers();
    this.#isHeld = true;
    await Promise.all(quiet());
  }

  release(): void {
    this.#isHeld = false;
    this.#released.resolve();
  }
}

/**
 * Group commit: whoever asks while a commit runs waits for the next one, and all who wait share it. A promise that is
 * kept covers everything that was done before it was asked for.
 */
export class GroupSync {
  readonly #commit: () => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(commit: () => Promise<void>) {
    this.#commit = commit;
  }

  sync(): Promise<void> {
    if (this.#next) return this.#next;
    if (!this.#running) return this.#run();
    // A commit that failed tells those who asked for it; the next one is tried all the same.
    const before = this.#running.catch(() => undefined);
    this.#next = before.then(() => {
      this.#next = undefined;
      return this.#run();
    });
    return this.#next;
  }

  #run(): Promise<void> {
    const mine = this.#commit().finally(() => {
      if (this.#running === mine) this.#running = undefined;
    });
    this.#running = mine;
    return mine;
  }
}

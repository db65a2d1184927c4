import type { Clock } from '../clock.ts';

/** Wakes all who wait for something to be different. */
export class Stir {
  #next = Promise.withResolvers<void>();

  now(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers();
  }

  /** Until it is so, looked at now and at every stir. Rejects with the signal's reason. */
  async wait(signal: AbortSignal, isSo: () => boolean): Promise<void> {
    while (!isSo()) await this.#once(signal);
    signal.throwIfAborted();
  }

  /** Until the time is over or anything stirs. */
  async waitAtMost(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    const stirred = new AbortController();
    const stop = AbortSignal.any([signal, stirred.signal]);
    void this.#next.promise.then(() => stirred.abort());
    await clock.sleep(ms, stop).catch(() => undefined); // Stirred, or stopped: told below.
    signal.throwIfAborted();
  }

  #once(signal: AbortSignal): Promise<void> {
    const stirred = this.#next.promise;
    return new Promise((resolve, reject) => {
      const stop = () => reject(signal.reason);
      if (signal.aborted) return stop();
      signal.addEventListener('abort', stop, { once: true });
      void stirred.then(() => {
        signal.removeEventListener('abort', stop);
        resolve();
      });
    });
  }
}

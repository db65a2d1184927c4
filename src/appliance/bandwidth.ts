import { join } from 'node:path';
import type { z } from 'zod';
import { readStateJson, writeStateFile } from '../block/state-file.ts';
import type { Clock } from '../clock.ts';
import { bandwidthSchema } from '../wire/messages.ts';

/**
 * What this appliance may receive from all its masters together, by hour of the day (UTC). Whoever received something
 * takes that many bytes here before it lets its master send more; so a limit holds whatever the masters do, and those
 * who wait are served in the order in which they came. The schedule is in the state folder before it holds; dies at any
 * line: the old schedule or the new one. Memory: one entry for each block that waits.
 */
export type Schedule = z.infer<typeof bandwidthSchema>;

interface Waiting {
  readonly bytes: number;
  readonly signal: AbortSignal;
  resolve(): void;
}

const HOUR_MS = 3_600_000;
/** Unused allowance is kept for so long, and a new hour's limit is noticed so late at most. */
const BURST_MS = 250;
const LOOK_MS = 1_000;

export class Bandwidth {
  readonly #path: string;
  readonly #clock: Clock;
  #schedule: Schedule;
  readonly #waiting: Waiting[] = [];
  #allowance = 0;
  #filledAtMs = performance.now();
  #isServing = false;
  #changed = new AbortController();

  private constructor(path: string, clock: Clock, schedule: Schedule) {
    this.#path = path;
    this.#clock = clock;
    this.#schedule = schedule;
  }

  static async load(stateFolder: string, clock: Clock): Promise<Bandwidth> {
    const path = join(stateFolder, 'bandwidth.json');
    return new Bandwidth(path, clock, (await readStateJson(path, bandwidthSchema)) ?? {});
  }

  get schedule(): Schedule {
    return this.#schedule;
  }

  async set(schedule: Schedule): Promise<void> {
    await writeStateFile(this.#path, JSON.stringify(schedule));
    this.#schedule = schedule;
    this.#changed.abort();
    this.#changed = new AbortController();
  }

  /** Resolves when these bytes are within the limit, or when nobody waits for them any more. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.#bytesPerSecond() === 0 && this.#waiting.length === 0) return;
    const turn = Promise.withResolvers<void>();
    const giveUp = () => turn.resolve();
    this.#waiting.push({ bytes, signal, resolve: giveUp });
    signal.addEventListener('abort', giveUp);
    void this.#serve();
    await turn.promise;
    signal.removeEventListener('abort', giveUp);
  }

  #bytesPerSecond(): number {
    const hour = Math.floor(this.#clock.now() / HOUR_MS) % 24;
    return this.#schedule.bytesPerSecondByHour?.[hour] ?? 0;
  }

  async #serve(): Promise<void> {
    if (this.#isServing) return;
    this.#isServing = true;
    while (this.#waiting.length > 0) {
      const next = this.#waiting[0];
      const waitMs = next && !next.signal.aborted ? this.#untilAllowed() : 0;
      if (waitMs > 0) {
        // Time is up, or the schedule changed: either way we look again.
        await this.#clock.sleep(waitMs, this.#changed.signal).catch(() => undefined);
        continue;
      }
      this.#waiting.shift();
      if (!next || next.signal.aborted) continue;
      this.#allowance -= next.bytes;
      next.resolve();
    }
    this.#isServing = false;
  }

  /** 0 when something may be taken now. What is taken may exceed the allowance: the next ones wait for it. */
  #untilAllowed(): number {
    const rate = this.#bytesPerSecond();
    const nowMs = performance.now();
    const passedMs = nowMs - this.#filledAtMs;
    this.#filledAtMs = nowMs;
    if (rate === 0) {
      this.#allowance = 0;
      return 0;
    }
    this.#allowance = Math.min(this.#allowance + (passedMs * rate) / 1000, (BURST_MS * rate) / 1000);
    if (this.#allowance > 0) return 0;
    return Math.min(LOOK_MS, Math.max(1, (-this.#allowance / rate) * 1000));
  }
}

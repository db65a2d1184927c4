import { messageOf } from '../src/errors.ts';
import { median } from './report.ts';
import type { Stage } from './stage.ts';

/**
 * Figures of several kinds of work that take turns, round after round, since a disk has moods: a ratio is the median of
 * the ratios of the rounds, in each of which the same minute met both.
 */
export class Series<Result> {
  readonly failures: string[] = [];
  /** By name, one for each round; a hole where one failed. */
  readonly #results = new Map<string, (Result | undefined)[]>();

  async play(
    stage: Stage,
    rounds: number,
    runs: Readonly<Record<string, () => Promise<Result>>>,
    words: (result: Result) => string,
  ): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      for (const [name, run] of Object.entries(runs)) {
        const results = this.#results.get(name) ?? [];
        this.#results.set(name, results);
        try {
          results[round] = await run();
          stage.tell(`  ${name}: ${words(results[round] as Result)}`);
        } catch (error) {
          stage.signal.throwIfAborted();
          this.failures.push(`${name} failed: ${messageOf(error)}`);
          stage.tell(`  ${name} failed: ${messageOf(error)}`);
        }
      }
    }
  }

  get names(): string[] {
    return [...this.#results.keys()];
  }

  median(name: string, pick: (result: Result) => number): number {
    const results = this.#results.get(name) ?? [];
    return median(results.flatMap((result) => (result === undefined ? [] : [pick(result)])));
  }

  /** Undefined when no round has both. */
  share(ours: string, peer: string, pick: (result: Result) => number): number | undefined {
    const theirs = this.#results.get(peer) ?? [];
    const shares = (this.#results.get(ours) ?? []).flatMap((mine, round) => {
      const other = theirs[round];
      return mine === undefined || other === undefined ? [] : [pick(mine) / pick(other)];
    });
    return shares.length === 0 ? undefined : median(shares);
  }

  get about(): Readonly<Record<string, string>> {
    return this.failures.length > 0 ? { failures: this.failures.join('; ') } : {};
  }
}

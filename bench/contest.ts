import { messageOf } from '../src/errors.ts';
import { type Cost, type Measuring, measure } from './measure.ts';
import type { Stage } from './stage.ts';

/**
 * Several ways to do the same work, one after the other in each round, so that a busy moment of the machine meets all of
 * them. Each is checked behind the clock; one that fails is told with its words, and never gets a number.
 */
export interface Contestant<Course> {
  readonly name: string;
  /** Why it cannot take part here. */
  readonly absent?: string;
  /** Everything before the clock starts. */
  ready(stage: Stage, course: Course): Promise<Ready>;
}

export interface Ready extends Measuring {
  /** Done means durable. */
  run(lap: (name: string) => void): Promise<void>;
  /** Behind the clock: throws when the work is not what it should be. */
  check?(): Promise<void>;
  /** Always, also when it failed. */
  end(): Promise<void>;
}

export interface Outcome {
  readonly name: string;
  readonly absent?: string;
  /** Of the rounds that came to a good end. */
  readonly costs: readonly ReadonlyMap<string, Cost>[];
  readonly failures: readonly string[];
}

export async function contest<Course>(
  stage: Stage,
  contestants: readonly Contestant<Course>[],
  rounds: number,
  prepare: (round: number, contestant: Contestant<Course>) => Promise<Course>,
): Promise<Outcome[]> {
  const results = contestants.map((contestant) => ({
    contestant,
    costs: [] as Map<string, Cost>[],
    failures: [] as string[],
  }));
  for (let round = 0; round < rounds; round++) {
    // Whoever follows a long one would always meet the disk that it left busy.
    const order = results.map((_, index) => results[(index + round) % results.length]);
    for (const result of order) {
      if (!result || result.contestant.absent !== undefined) continue;
      const { contestant, costs, failures } = result;
      try {
        const course = await prepare(round, contestant);
        costs.push(await once(stage, contestant, course));
        const seconds = ((costs.at(-1)?.get('end')?.wallMs ?? 0) / 1000).toFixed(2);
        stage.tell(`  round ${round + 1}: ${contestant.name} ${seconds} s`);
      } catch (error) {
        stage.signal.throwIfAborted();
        failures.push(messageOf(error));
        stage.tell(`  round ${round + 1}: ${contestant.name} failed: ${messageOf(error)}`);
      }
    }
  }
  return results.map(({ contestant: { name, absent }, costs, failures }) => ({
    name,
    costs,
    failures,
    ...(absent === undefined ? {} : { absent }),
  }));
}

async function once<Course>(
  stage: Stage,
  contestant: Contestant<Course>,
  course: Course,
): Promise<Map<string, Cost>> {
  const ready = await contestant.ready(stage, course);
  try {
    const costs = await measure(stage, ready, ready.run);
    await ready.check?.();
    return costs;
  } finally {
    await ready.end();
  }
}

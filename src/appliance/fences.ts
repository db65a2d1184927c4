import { join } from 'node:path';
import { z } from 'zod';
import { readStateJson, writeStateFile } from '../block/state-file.ts';
import { messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Connection } from '../wire/connection.ts';
import type { Result } from '../wire/messages.ts';

/**
 * Which masters are kept off the network, because their standby takes their place. Promises: what stands here is told to
 * a master in every new session of it, so one that comes back stays out. On disk before anybody is told; dies at any
 * line: the next session tells it again.
 */
const fencesSchema = z.array(z.object({ scenarioId: z.string(), masterId: z.string() }));

type Kept = z.infer<typeof fencesSchema>[number];

/** Its command may take a while. */
const FENCE_MS = 90_000;

export class Fences {
  readonly #path: string;
  readonly #log: Log;
  #fences: Kept[];

  private constructor(path: string, log: Log, fences: Kept[]) {
    this.#path = path;
    this.#log = log;
    this.#fences = fences;
  }

  static async load(stateFolder: string, log: Log): Promise<Fences> {
    const path = join(stateFolder, 'fences.json');
    return new Fences(path, log, (await readStateJson(path, fencesSchema)) ?? []);
  }

  has(scenarioId: string): boolean {
    return this.#fences.some((one) => one.scenarioId === scenarioId);
  }

  /** The wish is kept before the master is asked; one that comes to nothing is dropped, unless a person insists. */
  async add(fence: Kept, session: Connection | undefined, insist = false): Promise<Result<'fence'>> {
    if (!session && !insist) return { outcome: 'away' };
    await this.#keep([...this.#others(fence.scenarioId), fence]);
    if (!session) return { outcome: 'away' };
    const result = await this.#ask(session, fence.scenarioId, true);
    if (result.outcome === 'failed' && !insist) await this.#keep(this.#others(fence.scenarioId));
    return result;
  }

  /** A master that is away hears it when it comes back. */
  async release(scenarioId: string, session: Connection | undefined): Promise<Result<'fence'>> {
    await this.#keep(this.#others(scenarioId));
    return session ? this.#ask(session, scenarioId, false) : { outcome: 'away' };
  }

  /** A new session of that master, which knows fences: it hears what is wanted of each of its scenarios. */
  async tell(session: Connection, scenarioIds: readonly string[]): Promise<void> {
    for (const scenarioId of scenarioIds) {
      const { outcome, why } = await this.#ask(session, scenarioId, this.has(scenarioId));
      if (outcome === 'failed') this.#log.warn('a master could not be fenced', { scenarioId, why });
    }
  }

  #others(scenarioId: string): Kept[] {
    return this.#fences.filter((one) => one.scenarioId !== scenarioId);
  }

  async #keep(fences: Kept[]): Promise<void> {
    this.#fences = fences;
    await writeStateFile(this.#path, JSON.stringify(fences));
  }

  /** A session that ends meanwhile is what a fenced master looks like from here. */
  async #ask(session: Connection, scenarioId: string, fenced: boolean): Promise<Result<'fence'>> {
    try {
      return await session.request('fenceMaster', { scenarioId, fenced }, FENCE_MS);
    } catch (error) {
      if (!session.isOpen) return { outcome: 'gone' };
      return { outcome: 'failed', why: messageOf(error) };
    }
  }
}

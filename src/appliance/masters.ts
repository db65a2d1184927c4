import { join } from 'node:path';
import { z } from 'zod';
import { readStateJson, writeStateFile } from '../block/state-file.ts';
import type { Clock } from '../clock.ts';
import type { Connection } from '../wire/connection.ts';
import type { MasterPresence } from '../wire/control-session.ts';
import { inventorySchema } from '../wire/inventory.ts';

/** Masters that came here, and the sessions of those that are here now. What was learned survives a restart. */
const mastersSchema = z.array(
  z.object({
    masterId: z.string(),
    engineVersion: z.string(),
    lastSeenMs: z.number(),
    inventory: inventorySchema,
  }),
);
type Known = z.infer<typeof mastersSchema>[number];

export class Masters {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #sessions = new Map<string, Connection>();
  #known: Known[] = [];
  #saving: Promise<void> = Promise.resolve();

  private constructor(stateFolder: string, clock: Clock) {
    this.#path = join(stateFolder, 'masters.json');
    this.#clock = clock;
  }

  static async load(stateFolder: string, clock: Clock): Promise<Masters> {
    const masters = new Masters(stateFolder, clock);
    masters.#known = (await readStateJson(masters.#path, mastersSchema)) ?? [];
    return masters;
  }

  session(masterId: string): Connection | undefined {
    const session = this.#sessions.get(masterId);
    return session?.isOpen ? session : undefined;
  }

  /** Of the machine that the master's engine runs on, as it said last. */
  bootId(masterId: string): string | undefined {
    return this.#known.find((one) => one.masterId === masterId)?.inventory.bootId;
  }

  /** The newest session of a master is the one: an older one is a process that died without a word. */
  async arrive(seen: Omit<Known, 'lastSeenMs'>, session: Connection): Promise<void> {
    this.#sessions.get(seen.masterId)?.close('a newer session of the same master came');
    this.#sessions.set(seen.masterId, session);
    await this.#learn({ ...seen, lastSeenMs: this.#clock.now() });
  }

  /** True when this was the master's current session. */
  async leave(masterId: string, session: Connection): Promise<boolean> {
    if (this.#sessions.get(masterId) !== session) return false;
    this.#sessions.delete(masterId);
    const known = this.#known.find((one) => one.masterId === masterId);
    if (known) await this.#learn({ ...known, lastSeenMs: this.#clock.now() });
    return true;
  }

  list(): MasterPresence[] {
    return this.#known.map((one) => {
      const connected = this.session(one.masterId) !== undefined;
      return { ...one, connected, ...(connected ? { lastSeenMs: this.#clock.now() } : {}) };
    });
  }

  /** What was learned is on disk when this returns. */
  async settle(): Promise<void> {
    await this.#saving;
  }

  async #learn(known: Known): Promise<void> {
    this.#known = [...this.#known.filter((one) => one.masterId !== known.masterId), known];
    const text = JSON.stringify(this.#known);
    this.#saving = this.#saving.catch(() => undefined).then(() => writeStateFile(this.#path, text));
    await this.#saving;
  }
}

import type { Account } from '../model/account.ts';
import type { Appliance, Master } from '../model/appliance.ts';
import type { EventRecord } from '../model/event.ts';
import type { Group } from '../model/group.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { RunStore } from '../plan/plan.ts';

/** Where control keeps what it knows: SQLite in STANDBY_HOME, or PostgreSQL. Several processes use it at once. */
export interface Store {
  readonly accounts: Collection<Account>;
  readonly appliances: Collection<Appliance>;
  readonly masters: Collection<Master>;
  readonly scenarios: Collection<Scenario>;
  readonly statuses: Collection<ScenarioStatus>;
  readonly groups: Collection<Group>;
  readonly events: EventStore;
  readonly runs: RunStore;
  /** Ciphertexts only: src/control/secrets.ts encrypts before it comes here. */
  readonly secrets: SecretStore;
  close(): Promise<void>;
}

export interface Named {
  readonly id: string;
  readonly name: string;
}

export interface Collection<Item extends Named> {
  get(id: string): Promise<Item | undefined>;
  /** Names compare without regard to case. */
  byName(name: string): Promise<Item | undefined>;
  /** Sorted by name. */
  list(): Promise<Item[]>;
  /** Refuses a name or id that is taken: code NAME_TAKEN. */
  insert(item: Item): Promise<void>;
  /** Reads, changes and writes in one transaction; code NOT_FOUND if it is gone. Returns what was written. */
  update(id: string, change: (item: Item) => Item): Promise<Item>;
  /** True if it was there. */
  remove(id: string): Promise<boolean>;
}

export interface EventStore {
  append(event: EventRecord): Promise<void>;
  /** Oldest first; `afterId` for following. */
  list(filter?: {
    scenarioId?: string;
    runId?: string;
    afterId?: string;
    limit?: number;
  }): Promise<EventRecord[]>;
}

export interface SecretStore {
  get(name: string): Promise<string | undefined>;
  set(name: string, ciphertext: string): Promise<void>;
  /** Sets only if absent and returns what is stored then: two processes making a key at once agree. */
  setIfAbsent(name: string, ciphertext: string): Promise<string>;
  remove(name: string): Promise<void>;
}

import type { State } from '../state.ts';
import type { ProvisioningState } from './behaviour.ts';
import type { JsonObject } from './json.ts';
import { groupIdOf } from './resource-id.ts';

export interface Group {
  readonly name: string;
  readonly location: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly provisioningState: ProvisioningState;
}

/** Resource groups: not resources, but what they lie in. */
export interface GroupStore {
  get(name: string): Group | undefined;
  list(): readonly Group[];
  save(group: Group): Group;
  update(name: string, change: Partial<Group>): void;
  remove(name: string): void;
}

export function makeGroupStore(state: State): GroupStore {
  const { database } = state;
  const store: GroupStore = {
    get(name) {
      const row = database.prepare('select json from groups where key = ?').get(name.toLowerCase());
      return row === undefined ? undefined : (JSON.parse(String(row.json)) as Group);
    },
    list: () =>
      database
        .prepare('select json from groups order by key')
        .all()
        .map((row) => JSON.parse(String(row.json)) as Group),
    save(group) {
      database
        .prepare(
          'insert into groups (key, json) values (?, ?) on conflict (key) do update set json = excluded.json',
        )
        .run(group.name.toLowerCase(), JSON.stringify(group));
      return group;
    },
    update(name, change) {
      const group = store.get(name);
      if (group !== undefined) store.save({ ...group, ...change });
    },
    remove: (name) => {
      database.prepare('delete from groups where key = ?').run(name.toLowerCase());
    },
  };
  return store;
}

export function presentGroup(subscriptionId: string, group: Group): JsonObject {
  return {
    id: groupIdOf(subscriptionId, group.name),
    name: group.name,
    type: 'Microsoft.Resources/resourceGroups',
    location: group.location,
    ...(Object.keys(group.tags).length === 0 ? {} : { tags: { ...group.tags } }),
    properties: { provisioningState: group.provisioningState },
  };
}

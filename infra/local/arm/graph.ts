import type { Clock } from '../../../src/clock.ts';
import type { State } from '../state.ts';
import type { Resource, ResourceGraph } from './behaviour.ts';
import { keyOf, parentIdOf, parseResourceId } from './resource-id.ts';

/**
 * Resources as rows of the state's database: the id in lower case is the key, the resource itself is JSON.
 * Synchronous; durable when the enclosing transaction ends (a call outside of one is its own transaction).
 */
export interface StoredGraph extends ResourceGraph {
  /** Stores a new or changed resource and counts its version up. */
  save(resource: Resource): Resource;
  /** Everything, or everything in one group; oldest first; nested resources only when asked for. */
  all(where: { readonly resourceGroup?: string; readonly nested: boolean }): readonly Resource[];
}

export function makeGraph(state: State, clock: Clock): StoredGraph {
  const database = state.database;
  const read = (rows: readonly Record<string, unknown>[]): Resource[] =>
    rows.map((row) => JSON.parse(String(row.json)) as Resource);
  const graph: StoredGraph = {
    get(id) {
      const row = database.prepare('select json from resources where key = ?').get(keyOf(id));
      return row === undefined ? undefined : (JSON.parse(String(row.json)) as Resource);
    },
    list(type, where = {}) {
      const rows = read(
        database
          .prepare('select json from resources where type_key = ? order by seq')
          .all(type.toLowerCase()),
      );
      const group = where.resourceGroup?.toLowerCase();
      return rows.filter(
        (resource) =>
          (where.location === undefined || resource.location === where.location) &&
          (group === undefined || groupKeyOf(resource.id) === group),
      );
    },
    childrenOf(id, type) {
      const rows = read(
        database.prepare('select json from resources where parent_key = ? order by seq').all(keyOf(id)),
      );
      return type === undefined
        ? rows
        : rows.filter((resource) => resource.type.toLowerCase() === type.toLowerCase());
    },
    referencesTo(id, type) {
      const key = keyOf(id);
      // The quotes make it a whole JSON string, so that `.../disks/a` does not find `.../disks/ab`.
      const rows = read(
        database
          .prepare('select json from resources where key <> ? and instr(lower(json), ?) > 0 order by seq')
          .all(key, JSON.stringify(key)),
      );
      return type === undefined
        ? rows
        : rows.filter((resource) => resource.type.toLowerCase() === type.toLowerCase());
    },
    update(id, change) {
      const resource = graph.get(id);
      if (resource === undefined) throw new Error(`No resource ${id} to update.`);
      change(resource);
      return graph.save(resource);
    },
    insert(draft) {
      const name = parseResourceId(draft.id)?.name;
      if (name === undefined) throw new Error(`Not a resource id: ${draft.id}`);
      if (graph.get(draft.id) !== undefined) throw new Error(`There is already a resource ${draft.id}.`);
      return graph.save({
        id: draft.id,
        name,
        type: draft.type,
        ...(draft.location === undefined ? {} : { location: draft.location }),
        tags: { ...draft.tags },
        top: draft.top ?? {},
        properties: draft.properties ?? {},
        hidden: draft.hidden ?? {},
        provisioningState: 'Succeeded',
        createdAtMs: clock.now(),
        version: 0,
      });
    },
    remove(id) {
      database.prepare('delete from resources where key = ?').run(keyOf(id));
    },
    transaction: (work) => state.transaction(work),
    save(resource) {
      const stored = { ...resource, version: resource.version + 1 };
      const parent = parentIdOf(resource.id);
      database
        .prepare(
          `insert into resources (key, type_key, group_key, parent_key, json) values (?, ?, ?, ?, ?)
           on conflict (key) do update set json = excluded.json`,
        )
        .run(
          keyOf(resource.id),
          resource.type.toLowerCase(),
          groupKeyOf(resource.id),
          parent === undefined ? null : keyOf(parent),
          JSON.stringify(stored),
        );
      return stored;
    },
    all(where) {
      const group = where.resourceGroup?.toLowerCase();
      const rows =
        group === undefined
          ? database.prepare('select json from resources order by seq').all()
          : database.prepare('select json from resources where group_key = ? order by seq').all(group);
      return read(rows).filter((resource) => where.nested || parentIdOf(resource.id) === undefined);
    },
  };
  return graph;
}

export function groupKeyOf(id: string): string {
  return (parseResourceId(id)?.resourceGroup ?? '').toLowerCase();
}

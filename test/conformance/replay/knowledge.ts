import { targetOf, typeOf } from './arm-path.ts';
import { isObject, type JsonObject, objectsAt, strings, textAt } from './json.ts';
import type { Interaction } from './recordings.ts';

/** A resource id within a recording, without its subscription and in lower case. */
export interface Reference {
  readonly key: string;
  readonly type: string;
  /** The outermost resource: a subnet's network. */
  readonly parentKey?: string;
}

const ID = /^\/subscriptions\/[^/]+\/(resourcegroups\/([^/]+)\/providers\/([^/]+)\/([^?]+))$/i;

export function referenceOf(text: string): Reference | undefined {
  const found = ID.exec(text);
  if (found === null) return undefined;
  const path = (found[4] ?? '').split('/').filter((part) => part !== '');
  if (path.length % 2 !== 0) return undefined;
  const type = [found[3], ...path.filter((_, index) => index % 2 === 0)].join('/').toLowerCase();
  const key = (found[1] ?? '').toLowerCase();
  if (path.length === 2) return { key, type };
  return { key, type, parentKey: key.split('/').slice(0, 6).join('/') };
}

/** Parts of a resource that have an id but are no resources of their own. */
const PARTS = /\/(ipconfigurations|defaultsecurityrules|frontendipconfigurations|resourcenavigationlinks)$/i;

/** The resources that a body names, each once; its own id and those of parts left out. */
export function referencesIn(body: unknown, ownKey: string): Reference[] {
  const found = new Map<string, Reference>();
  for (const { text } of strings(body)) {
    const reference = referenceOf(text);
    if (reference === undefined || PARTS.test(reference.type)) continue;
    if (reference.key === ownKey || reference.key.startsWith(`${ownKey}/`)) continue;
    found.set(reference.key, reference);
  }
  return [...found.values()];
}

/** What a recording shows of each resource, by key: bodies of answers, of lists and of requests, in their order. */
export interface Knowledge {
  /** The first one at or after `index`, else the last one before it. */
  bodyOf(key: string, index: number): JsonObject | undefined;
  locationOf(group: string): string;
  /** Groups that the recording itself makes, and so must not be there before. */
  readonly groupsMade: ReadonlySet<string>;
}

export function learn(interactions: readonly Interaction[]): Knowledge {
  const seen = new Map<string, { index: number; body: JsonObject }[]>();
  const locations = new Map<string, string>();
  const groupsMade = new Set<string>();
  const groupsSeen = new Set<string>();
  const note = (key: string, index: number, body: JsonObject) => {
    seen.set(key, [...(seen.get(key) ?? []), { index, body }]);
    const group = key.split('/')[1] ?? '';
    const location = textAt(body, 'location');
    if (location !== undefined && /^[a-z0-9 ]+$/i.test(location) && !locations.has(group))
      locations.set(group, location);
  };
  interactions.forEach((each, index) => {
    const target = targetOf(each.method, each.url);
    const isOk = each.status >= 200 && each.status < 300;
    const group = target.resourceGroup;
    if (group !== undefined && group !== '' && !groupsSeen.has(group)) {
      groupsSeen.add(group);
      const isGroupItself = target.type === undefined;
      if (isGroupItself && (each.status === 404 || (each.method === 'PUT' && each.status === 201)))
        groupsMade.add(group);
    }
    if (!isOk) return;
    if (target.resourceKey !== undefined && target.verb === undefined && each.method === 'PUT') {
      if (isObject(each.requestBody)) note(target.resourceKey, index, each.requestBody);
    }
    for (const body of [each.body, ...objectsAt(each.body, 'value')]) {
      if (!isObject(body)) continue;
      const reference = referenceOf(textAt(body, 'id') ?? '');
      if (reference !== undefined) note(reference.key, index, body);
      else if (target.type === undefined && target.resourceKey !== undefined)
        note(target.resourceKey, index, body);
    }
  });
  return {
    bodyOf(key, index) {
      const all = (seen.get(key) ?? []).filter(
        (each) => typeOf(typeOfKey(key)) === undefined || isObject(each.body.properties),
      );
      return (all.find((each) => each.index >= index) ?? all.at(-1))?.body;
    },
    locationOf: (group) => locations.get(group) ?? 'eastus',
    groupsMade,
  };
}

export function typeOfKey(key: string): string {
  const path = key.split('/').slice(4);
  return [key.split('/')[3], ...path.filter((_, index) => index % 2 === 0)].join('/');
}

import { ArmError } from './arm-error.ts';
import { canonicalLocation } from './checks.ts';

/** The `$filter` of the lists of resources and groups: `name eq 'value'`, joined by `and`. */
export type Filter = readonly { readonly name: string; readonly value: string }[];

interface Filtered {
  readonly name: string;
  readonly type: string;
  readonly location: string;
  readonly resourceGroup: string;
  readonly tags: Readonly<Record<string, string>>;
}

const NAMES = ['tagname', 'tagvalue', 'resourcetype', 'name', 'location', 'resourcegroup'];

export function parseFilter(text: string | null): Filter {
  if (text === null || text.trim() === '') return [];
  const parts = text.trim().match(/(?:'(?:[^']|'')*'|[^'])+?(?=\s+and\s+|$)/gi) ?? [];
  return parts.map((part) => {
    const found = /^\s*(?:and\s+)?(\w+)\s+eq\s+'((?:[^']|'')*)'\s*$/i.exec(part);
    const name = found?.[1]?.toLowerCase() ?? '';
    if (!NAMES.includes(name)) {
      throw new ArmError(
        400,
        'InvalidFilterInQueryString',
        `Invalid $filter '${text}' specified in the query string: this emulator knows \`X eq 'value'\` joined by \`and\`, ` +
          'where X is tagName, tagValue, resourceType, name, location or resourceGroup.',
      );
    }
    return { name, value: (found?.[2] ?? '').replaceAll("''", "'") };
  });
}

export function matchesFilter(filter: Filter, item: Filtered): boolean {
  const wanted = new Map(filter.map((part) => [part.name, part.value]));
  const same = (name: string, value: string) => {
    const want = wanted.get(name);
    return want === undefined || want.toLowerCase() === value.toLowerCase();
  };
  const location = wanted.get('location');
  const tagName = wanted.get('tagname');
  const tagValue = wanted.get('tagvalue');
  const hasTag = Object.entries(item.tags).some(
    ([name, value]) =>
      (tagName === undefined || name.toLowerCase() === tagName.toLowerCase()) &&
      (tagValue === undefined || value === tagValue),
  );
  return (
    same('name', item.name) &&
    same('resourcetype', item.type) &&
    same('resourcegroup', item.resourceGroup) &&
    (location === undefined || canonicalLocation(location) === item.location) &&
    ((tagName === undefined && tagValue === undefined) || hasTag)
  );
}

/** Recordings are JSON that somebody else wrote: read through these, which check the type. */
export type JsonObject = { [name: string]: unknown };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `at(body, 'properties.provisioningState')`; undefined (or null) anywhere on the way gives undefined. */
export function at(value: unknown, path: string): unknown {
  let here: unknown = value;
  for (const name of path.split('.')) {
    if (!isObject(here)) return undefined;
    here = here[name];
  }
  return here ?? undefined;
}

export function textAt(value: unknown, path: string): string | undefined {
  const found = at(value, path);
  return typeof found === 'string' ? found : undefined;
}

export function objectsAt(value: unknown, path: string): JsonObject[] {
  const found = at(value, path);
  return Array.isArray(found) ? found.filter(isObject) : [];
}

/** Every string in it, with the name it stands under. */
export function* strings(value: unknown, name = ''): Generator<{ name: string; text: string }> {
  if (typeof value === 'string') yield { name, text: value };
  else if (Array.isArray(value)) for (const entry of value) yield* strings(entry, name);
  else if (isObject(value)) for (const [key, inner] of Object.entries(value)) yield* strings(inner, key);
}

/** A copy in which every string went through `change`. */
export function mapStrings(
  value: unknown,
  change: (text: string, name: string) => string,
  name = '',
): unknown {
  if (typeof value === 'string') return change(value, name);
  if (Array.isArray(value)) return value.map((entry) => mapStrings(entry, change, name));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, mapStrings(inner, change, key)]),
  );
}

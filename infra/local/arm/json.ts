import { ArmError } from './arm-error.ts';

/** Request bodies and resources are JSON that somebody else wrote: read them through these, which check the type. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [name: string]: Json | undefined };
export type JsonObject = { [name: string]: Json | undefined };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `at(body, 'properties.hardwareProfile.vmSize')`; undefined (or null) anywhere on the way gives undefined. */
export function at(value: unknown, path: string): Json | undefined {
  let here: unknown = value;
  for (const name of path.split('.')) {
    if (!isObject(here)) return undefined;
    here = here[name];
  }
  return here === null ? undefined : (here as Json | undefined);
}

function wrong(path: string, wanted: string): ArmError {
  return new ArmError(400, 'InvalidParameter', `The value of parameter ${path} is invalid: ${wanted}.`, path);
}

export function textAt(value: unknown, path: string): string | undefined {
  const found = at(value, path);
  if (found === undefined || typeof found === 'string') return found;
  throw wrong(path, 'a string is expected');
}
export function numberAt(value: unknown, path: string): number | undefined {
  const found = at(value, path);
  if (found === undefined || typeof found === 'number') return found;
  throw wrong(path, 'a number is expected');
}
export function booleanAt(value: unknown, path: string): boolean | undefined {
  const found = at(value, path);
  if (found === undefined || typeof found === 'boolean') return found;
  throw wrong(path, 'true or false is expected');
}
export function objectAt(value: unknown, path: string): JsonObject | undefined {
  const found = at(value, path);
  if (found === undefined || isObject(found)) return found as JsonObject | undefined;
  throw wrong(path, 'an object is expected');
}
/** Absent gives an empty list. */
export function listAt(value: unknown, path: string): readonly Json[] {
  const found = at(value, path);
  if (found === undefined) return [];
  if (Array.isArray(found)) return found as readonly Json[];
  throw wrong(path, 'a list is expected');
}
/** The list's entries, each of which must be an object. */
export function objectsAt(value: unknown, path: string): readonly JsonObject[] {
  return listAt(value, path).map((entry, index) => {
    if (isObject(entry)) return entry;
    throw wrong(`${path}[${index}]`, 'an object is expected');
  });
}

/** RFC 7396: objects merge, null removes, everything else (lists too) replaces. */
export function mergePatch(target: unknown, patch: Json | undefined): Json | undefined {
  if (!isObject(patch)) return patch;
  const result: JsonObject = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else if (value !== undefined) result[name] = mergePatch(result[name], value);
  }
  return result;
}

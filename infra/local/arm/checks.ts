import { ArmError } from './arm-error.ts';
import type { Behaviour, Resource, SubscriptionSettings } from './behaviour.ts';
import { isObject, type Json } from './json.ts';

/** The checks that Azure Resource Manager itself makes before a resource provider sees a request. */
export function checkName(behaviour: Behaviour, name: string): void {
  const pattern = behaviour.namePattern ?? /^[^<>*%&:\\?/+#]{1,260}$/;
  if (pattern.test(name) && !/[\s.]$/.test(name)) return;
  const code = behaviour.nameCode ?? 'InvalidResourceName';
  throw new ArmError(
    400,
    code,
    `Resource name ${name} is invalid. The name of a '${behaviour.type}' must match ${pattern.source}.`,
    'name',
  );
}

/** Canonical short name: `Japan East` and `japaneast` are one place. */
export function canonicalLocation(text: string): string {
  return text.replace(/\s+/g, '').toLowerCase();
}

export function checkLocation(
  settings: SubscriptionSettings,
  { type, global = false }: Pick<Behaviour, 'type' | 'global'>,
  given: Json | undefined,
  existing: Resource | undefined,
  names: { readonly name: string; readonly resourceGroup: string },
): string {
  if (typeof given !== 'string' || given.trim() === '') {
    if (existing?.location !== undefined) return existing.location;
    throw new ArmError(400, 'LocationRequired', 'The location property is required for this definition.');
  }
  const location = canonicalLocation(given);
  const places = global ? ['global'] : settings.locations.map((known) => known.name);
  if (!places.includes(location)) {
    throw new ArmError(
      400,
      'LocationNotAvailableForResourceType',
      `The provided location '${given}' is not available for resource type '${type}'. List of available regions for ` +
        `the resource type is '${places.join(',')}'.`,
    );
  }
  if (existing?.location !== undefined && existing.location !== location) {
    throw new ArmError(
      409,
      'InvalidResourceLocation',
      `The resource '${names.name}' already exists in location '${existing.location}' in resource group ` +
        `'${names.resourceGroup}'. A resource with the same name cannot be created in location '${location}'. ` +
        'Please select a new resource name.',
    );
  }
  return location;
}

export function checkTags(given: Json | undefined): Record<string, string> {
  if (given === undefined || given === null) return {};
  if (!isObject(given))
    throw new ArmError(400, 'InvalidRequestContent', 'The tags must be an object of strings.', 'tags');
  const tags: Record<string, string> = {};
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(given)) {
    if (typeof value !== 'string')
      throw new ArmError(
        400,
        'InvalidRequestContent',
        `The value of tag '${name}' must be a string.`,
        'tags',
      );
    if (name === '' || name.length > 512 || /[<>%&\\?/]/.test(name)) {
      throw new ArmError(
        400,
        'InvalidTagNameCharacters',
        `The tag name '${name}' is longer than 512 characters or has one of the reserved characters '<,>,%,&,\\,?,/'.`,
        'tags',
      );
    }
    if (value.length > 256)
      throw new ArmError(
        400,
        'TagValueTooLong',
        `The value of tag '${name}' is longer than 256 characters.`,
        'tags',
      );
    if (seen.has(name.toLowerCase()))
      throw new ArmError(400, 'DuplicateTagKeys', `The tag name '${name}' is given twice.`, 'tags');
    seen.add(name.toLowerCase());
    tags[name] = value;
  }
  if (seen.size > 50) throw new ArmError(400, 'TooManyTags', 'A resource can have at most 50 tags.', 'tags');
  return tags;
}

import { createHash } from 'node:crypto';
import type { ArmContext, Resource, View } from './behaviour.ts';
import type { JsonObject } from './json.ts';
import type { Registry } from './registry.ts';

/** What a client sees of a stored resource: the core's picture, then the behaviour's own hand. */
export function presentResource(
  context: ArmContext,
  registry: Registry,
  resource: Resource,
  view: View,
): JsonObject {
  const behaviour = registry.find(resource.type);
  const properties: JsonObject = {};
  for (const embed of behaviour?.embeds ?? []) {
    properties[embed.property] = context.graph
      .childrenOf(resource.id, embed.type)
      .map((child) => presentResource(context, registry, child, view));
  }
  const shown: JsonObject = {
    id: resource.id,
    name: resource.name,
    type: resource.type,
    ...(resource.location === undefined ? {} : { location: resource.location }),
    ...(Object.keys(resource.tags).length === 0 ? {} : { tags: { ...resource.tags } }),
    ...(showsEtag(resource) ? { etag: etagOf(resource) } : {}),
    ...resource.top,
    properties: { ...resource.properties, ...properties, provisioningState: resource.provisioningState },
  };
  return behaviour?.present?.(context, resource, shown, view) ?? shown;
}

/** Microsoft.Network shows etags in the body, and so does a VM; the others do not. */
function showsEtag(resource: Resource): boolean {
  const type = resource.type.toLowerCase();
  return type.startsWith('microsoft.network/') || type === VIRTUAL_MACHINE;
}

const VIRTUAL_MACHINE = 'microsoft.compute/virtualmachines';

/** A VM's is a number in quotes, as recorded. */
export function etagOf(resource: Resource): string {
  if (resource.type.toLowerCase() === VIRTUAL_MACHINE) return `"${resource.version}"`;
  const hex = createHash('sha256').update(`${resource.id}#${resource.version}`).digest('hex');
  return `W/"${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}"`;
}

import type { Cloud } from '../../../src/ports/cloud.ts';
import type { Azure } from '../azure.ts';

/** Azure's filter is trusted to find, not to exclude: what comes back is compared once more. */
export function makeListTagged(azure: Azure): Cloud['listTagged'] {
  const { calls, clients } = azure;
  return async (tag, value) => {
    const client = await clients.resources();
    const filter = `tagName eq '${tag}' and tagValue eq '${value.replaceAll("'", "''")}'`;
    const found = await calls.collect('The tagged resources could not be read.', () =>
      client.resources.list({ filter }),
    );
    return found
      .filter((each) => each.tags?.[tag] === value)
      .map((each) => ({
        id: each.id ?? '',
        type: each.type ?? '',
        name: each.name ?? '',
        tags: each.tags ?? {},
      }));
  };
}

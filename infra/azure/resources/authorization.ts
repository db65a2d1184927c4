import type { RolePermissions } from '../../../src/ports/cloud.ts';
import type { Answer } from '../answers.ts';
import type { Azure } from '../azure.ts';
import { mapError } from '../errors.ts';

/**
 * Lists of Microsoft.Authorization at any scope. The SDK knows permissions of a resource group or a resource only,
 * and neither locks nor policies; but its pager reads any page by its URL, and answers.ts keeps what Azure said.
 */
export interface ListKind {
  readonly type: string;
  readonly apiVersion: string;
  readonly what: string;
}

export const PERMISSIONS: ListKind = {
  type: 'permissions',
  apiVersion: '2022-04-01',
  what: 'The permissions could not be read.',
};
export const DENIALS: ListKind = {
  type: 'denyAssignments',
  apiVersion: '2022-04-01',
  what: 'The deny assignments could not be read.',
};
export const LOCKS: ListKind = {
  type: 'locks',
  apiVersion: '2020-05-01',
  what: 'The locks could not be read.',
};
export const POLICIES: ListKind = {
  type: 'policyAssignments',
  apiVersion: '2022-06-01',
  what: 'The policies could not be read.',
};

/** One entry, of whichever list: Azure may leave out anything. */
export interface Entry extends Partial<RolePermissions> {
  readonly id?: string;
  readonly name?: string;
  readonly properties?: {
    readonly level?: string;
    readonly permissions?: readonly Partial<RolePermissions>[];
    readonly displayName?: string;
    readonly scope?: string;
    readonly policyDefinitionId?: string;
    readonly enforcementMode?: string;
    readonly parameters?: Readonly<Record<string, { readonly value?: unknown }>>;
  };
}

const PAGES_MAX = 200;

export async function readList(azure: Azure, scope: string, kind: ListKind): Promise<readonly Entry[]> {
  const { calls, clients, endpoints } = azure;
  const client = await clients.authorization();
  const entries: Entry[] = [];
  let url: string | undefined =
    `${endpoints.resourceManagerUrl}${scope}/providers/Microsoft.Authorization/${kind.type}?api-version=${kind.apiVersion}`;
  for (let pages = 0; url !== undefined && pages < PAGES_MAX; pages += 1) {
    const continuationToken: string = url;
    const text = await calls.call(kind.what, async () => {
      const answer: Answer = {};
      const read = client.permissions.listForResourceGroup('-').byPage({ continuationToken });
      try {
        await calls.answers.listen(answer, () => read.next());
      } catch (error) {
        throw mapError(kind.what, error, answer);
      }
      return answer.text ?? '{}';
    });
    const page = JSON.parse(text) as { readonly value?: readonly Entry[]; readonly nextLink?: string };
    entries.push(...(page.value ?? []));
    url = page.nextLink || undefined;
  }
  return entries;
}

export function rolePermissions(entry: Partial<RolePermissions>): RolePermissions {
  return { actions: entry.actions ?? [], notActions: entry.notActions ?? [] };
}

/** `/subscriptions/s/resourceGroups/g/providers/Microsoft.Authorization/locks/l` hangs at the group. */
export function scopeOf(id: string | undefined): string {
  return (id ?? '').replace(/\/providers\/Microsoft\.Authorization\/[^/]+\/[^/]+$/i, '');
}

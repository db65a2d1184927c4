import type { RolePermissions } from '../ports/cloud.ts';

/** Whether roles allow an action. What one role takes away (`notActions`) another may give; a denial wins over all. */
export function permits(
  roles: readonly RolePermissions[],
  action: string,
  denials: readonly RolePermissions[] = [],
): boolean {
  return roles.some((role) => covers(role, action)) && !denials.some((denial) => covers(denial, action));
}

export function covers({ actions, notActions }: RolePermissions, action: string): boolean {
  const matches = (text: string) => pattern(text).test(action);
  return actions.some(matches) && !notActions.some(matches);
}

/** Azure's wildcard `*` stands for any text, slashes too; case does not matter. */
function pattern(action: string): RegExp {
  const escaped = action.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.*')}$`, 'i');
}

import type { Account } from '../model/account.ts';
import type { Verdict } from '../model/verdict.ts';
import { accountNamed } from './account.ts';
import { missingActions } from './account-proof.ts';
import type { Context } from './context.ts';
import { type RoleDefinition, roleDefinition } from './role.ts';

/** The role as JSON, for the account's subscription; without a name, for the only account there is. */
export async function printedRole(context: Context, name: string | undefined): Promise<RoleDefinition> {
  if (name !== undefined) return roleDefinition(await accountNamed(context, name));
  const accounts = await context.store.accounts.list();
  return roleDefinition(accounts.length === 1 ? accounts[0] : undefined);
}

/** What of the role the application does not have on its subscription. */
export async function missingOfRole(
  context: Context,
  name: string | undefined,
): Promise<{
  readonly account: Account;
  readonly missing: readonly string[];
  readonly lines: readonly Verdict[];
}> {
  const accounts = name === undefined ? await context.store.accounts.list() : [];
  const only = accounts.length === 1 ? accounts[0] : undefined;
  const account = only ?? (await accountNamed(context, name ?? ''));
  const { access } = await context.cloudFor(account);
  const { needed, missing } = await missingActions(access);
  const title = 'Role on the subscription';
  const next = `standby account role ${account.name} --print tells the role; a role on the resource groups alone is enough too.`;
  const lines: Verdict[] =
    missing.length === 0
      ? [{ code: 'ROLE_COMPLETE', status: 'ok', title, found: `all ${needed.length} actions are allowed` }]
      : missing.map((action) => ({
          code: 'ROLE_LACKS',
          status: 'warning',
          title,
          found: `not allowed: ${action}`,
          expected: 'allowed',
          next,
        }));
  return { account, missing, lines };
}

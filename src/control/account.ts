import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { inputError, StandbyError } from '../errors.ts';
import type { Account, CloudEnvironment, CustomCloud } from '../model/account.ts';
import type { Verdict } from '../model/verdict.ts';
import { proveAccount } from './account-proof.ts';
import { type AccountAnswers, accountQuestions } from './account-questions.ts';
import type { Context } from './context.ts';

/** Never carries the client secret. */
export interface AccountReport {
  readonly account: Account;
  readonly lines: readonly Verdict[];
}

/** Where an account's client secret lies among the encrypted secrets. */
export function clientSecretName(accountId: string): string {
  return `account/${accountId}/client-secret`;
}

/**
 * Proves the five fields against Azure, then saves them. Nothing is written before the last proof has passed.
 * The secret is stored before the account: a process that dies between the two leaves a ciphertext that nothing
 * names, and never an account without its secret.
 */
export async function addAccount(context: Context, answers: AccountAnswers): Promise<AccountReport> {
  refuseWrongAnswers(answers, context);
  const account = await accountFrom(answers, context);
  if (await context.store.accounts.byName(account.name)) throw nameTaken(account.name);
  const clientSecret = answers.clientSecret.trim();
  const cloud = await context.cloudWith(account, clientSecret);
  const { lines, failure } = await proveAccount(cloud, account, context.clock);
  if (failure) throw failure;
  await context.secrets.set(clientSecretName(account.id), clientSecret);
  try {
    await context.store.accounts.insert(account);
  } catch (error) {
    // Another process took the name meanwhile (or the disk is full): leave no secret behind, whatever it was.
    await context.secrets.remove(clientSecretName(account.id));
    throw error;
  }
  return { account, lines };
}

/** Every account, by e-mail; secrets are not part of it. */
export async function listAccounts(context: Context): Promise<readonly Account[]> {
  return context.store.accounts.list();
}

/** The same proofs as before saving; what is wrong is a line of the report, not an error. */
export async function verifyAccount(context: Context, name: string): Promise<AccountReport> {
  const account = await accountNamed(context, name);
  const { lines } = await proveAccount(await context.cloudFor(account), account, context.clock);
  return { account, lines };
}

/** Puts a new client secret in place of one that ended; proven first, the old one stays if the new one is wrong. */
export async function renewSecret(
  context: Context,
  answers: { readonly name: string; readonly clientSecret: string; readonly secretExpiresOn?: string },
): Promise<AccountReport> {
  const saved = await accountNamed(context, answers.name);
  const changed: AccountAnswers = { ...saved, ...answers, name: saved.name };
  refuseWrongAnswers(changed, context, ['clientSecret', 'secretExpiresOn']);
  const date = answers.secretExpiresOn?.trim();
  const { secretExpiresOn: _over, ...rest } = saved;
  const account: Account = date ? { ...rest, secretExpiresOn: date } : rest;
  const clientSecret = answers.clientSecret.trim();
  const cloud = await context.cloudWith(account, clientSecret);
  const { lines, failure } = await proveAccount(cloud, account, context.clock);
  if (failure) throw failure;
  await context.secrets.set(clientSecretName(account.id), clientSecret);
  await context.store.accounts.update(account.id, () => account);
  return { account, lines };
}

/** Refused while something needs it. The account goes first, so that none is ever left without its secret. */
export async function removeAccount(context: Context, name: string): Promise<Account> {
  const account = await accountNamed(context, name);
  const scenarios = (await context.store.scenarios.list()).filter((one) => one.accountId === account.id);
  const appliances = (await context.store.appliances.list()).filter(
    (one) => one.azure?.accountId === account.id,
  );
  const users = [
    ...scenarios.map((one) => `scenario ${one.name}`),
    ...appliances.map((one) => `appliance ${one.name}`),
  ];
  if (users.length > 0) {
    throw new StandbyError({
      code: 'ACCOUNT_IN_USE',
      what: `The account ${account.name} cannot be removed.`,
      why: `It is used by ${users.join(', ')}.`,
      next: 'Remove those first.',
      kind: 'input',
    });
  }
  await context.store.accounts.remove(account.id);
  await context.secrets.remove(clientSecretName(account.id));
  return account;
}

/** The account of that e-mail, or an input error that names those there are. */
export async function accountNamed(context: Pick<Context, 'store'>, name: string): Promise<Account> {
  const account = await context.store.accounts.byName(name.trim());
  if (account) return account;
  const names = (await context.store.accounts.list()).map((one) => one.name);
  throw inputError(
    'ACCOUNT_UNKNOWN',
    `There is no account ${name}.`,
    names.length > 0 ? `Choose one of: ${names.join(', ')}.` : 'Register one first: standby account add',
  );
}

function refuseWrongAnswers(answers: AccountAnswers, context: Context, only?: readonly string[]): void {
  const values: Readonly<Record<string, unknown>> = { environment: 'public', ...answers };
  for (const question of accountQuestions(values, context.clock)) {
    if (only && !only.includes(question.name)) continue;
    const problem = question.validate?.(values[question.name]);
    if (problem) throw inputError('ANSWER_WRONG', `${question.message}: ${problem}`);
  }
}

async function accountFrom(answers: AccountAnswers, context: Context): Promise<Account> {
  const environment = (answers.environment?.trim() || 'public') as CloudEnvironment;
  const expires = answers.secretExpiresOn?.trim();
  return {
    id: randomUUID(),
    name: answers.name.trim(),
    subscriptionId: answers.subscriptionId.trim().toLowerCase(),
    tenantId: answers.tenantId.trim().toLowerCase(),
    applicationId: answers.applicationId.trim().toLowerCase(),
    environment,
    ...(environment === 'custom' ? { custom: await customCloud(answers) } : {}),
    ...(expires ? { secretExpiresOn: expires } : {}),
    createdAtMs: context.clock.now(),
  };
}

async function customCloud(answers: AccountAnswers): Promise<CustomCloud> {
  const caFile = answers.caFile?.trim();
  return {
    resourceManagerUrl: (answers.resourceManagerUrl ?? '').trim(),
    authorityUrl: (answers.authorityUrl ?? '').trim(),
    ...(caFile ? { caPem: await readFile(caFile, 'utf8') } : {}),
  };
}

function nameTaken(name: string): StandbyError {
  return inputError(
    'NAME_TAKEN',
    `The account ${name} is registered already.`,
    `Check it with: standby account verify ${name} - or give it a new secret: standby account renew ${name}`,
  );
}

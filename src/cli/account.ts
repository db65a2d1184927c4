import type { Command } from 'commander';
import { type AnswerFlag, answerFlags, clientSecretOf, optionText, presetOf } from './answers.ts';
import { type Call, leaf, Outcome } from './command.ts';
import { listing, tellAll } from './people.ts';
import type { Shell } from './shell.ts';

export const ACCOUNT_FLAGS: readonly AnswerFlag[] = [
  { name: 'name', value: '<e-mail>', text: 'account e-mail; the account is listed by it' },
  { name: 'environment', value: '<cloud>', text: 'public, us-government, china or custom' },
  { name: 'resourceManagerUrl', value: '<url>', text: 'Resource Manager URL of a custom cloud' },
  { name: 'authorityUrl', value: '<url>', text: 'sign-in URL of a custom cloud' },
  { name: 'caFile', value: '<file>', text: 'PEM file of the authority that signed a custom cloud' },
  { name: 'subscriptionId', value: '<guid>', text: 'subscription ID' },
  { name: 'tenantId', value: '<guid>', text: 'tenant (directory) ID' },
  { name: 'applicationId', value: '<guid>', text: 'application (client) ID' },
  { name: 'secretExpiresOn', value: '<date>', text: 'when the client secret ends, YYYY-MM-DD' },
];

export function addAccountCommands(program: Command, shell: Shell): void {
  const account = program.command('account').description('Azure accounts (service principals)');
  const add = leaf(account, 'add', 'Registers an account, after proving it against Azure', shell, addAccount);
  secretOption(answerFlags(add, ACCOUNT_FLAGS));
  leaf(account, 'list', 'Lists the accounts', shell, listAccounts);
  leaf(account, 'verify <account>', 'Proves a saved account again', shell, verifyAccount);
  secretOption(
    leaf(account, 'renew <account>', 'Puts a new client secret in place of the old one', shell, renewAccount),
  ).option('--secret-expires-on <date>', 'when the new client secret ends, YYYY-MM-DD');
  leaf(account, 'role [account]', 'What the application may not do yet, and its role', shell, role).option(
    '--print',
    'print the least-privilege custom role as JSON, for `az role definition create`',
  );
  leaf(account, 'remove <account>', 'Forgets an account that nothing uses', shell, removeAccount);
}

function secretOption(command: Command): Command {
  return command.option(
    '--client-secret-stdin',
    'read the client secret from standard input (or set STANDBY_CLIENT_SECRET)',
  );
}

async function addAccount(call: Call): Promise<unknown> {
  const names = ACCOUNT_FLAGS.map((flag) => flag.name);
  const [preset, clientSecret] = await Promise.all([presetOf(call, names), clientSecretOf(call)]);
  const start = { preset: { ...preset, ...(clientSecret ? { clientSecret } : {}) }, yes: call.yes };
  const wizards = await call.shell.parts.wizards();
  const { account, lines } = (await wizards.account(await call.context(), start)) as Report;
  return { account, verdicts: lines };
}

type Report = import('../control/account.ts').AccountReport;

async function listAccounts(call: Call): Promise<unknown> {
  const control = await import('../control/account.ts');
  const accounts = await control.listAccounts(await call.context());
  listing(call, 'No account is registered yet: standby account add', {
    columns: ['account', 'subscription', 'cloud', 'secret expires'],
    rows: accounts.map((one) => [one.name, one.subscriptionId, one.environment, one.secretExpiresOn ?? '-']),
  });
  return { accounts };
}

async function verifyAccount(call: Call): Promise<unknown> {
  const control = await import('../control/account.ts');
  const { account, lines } = await control.verifyAccount(await call.context(), String(call.args[0]));
  await tellAll(call, `Account ${account.name}`, lines);
  return new Outcome({ account, verdicts: lines }, lines.some((one) => one.status === 'error') ? 3 : 0);
}

async function renewAccount(call: Call): Promise<unknown> {
  const control = await import('../control/account.ts');
  const { gatherSecret } = await import('./secret.ts');
  const clientSecret = (await clientSecretOf(call)) ?? (await gatherSecret(call));
  const secretExpiresOn = optionText(call, 'secretExpiresOn');
  const { account, lines } = await control.renewSecret(await call.context(), {
    name: String(call.args[0]),
    clientSecret,
    ...(secretExpiresOn ? { secretExpiresOn } : {}),
  });
  await tellAll(call, `Account ${account.name}`, lines);
  return { account, verdicts: lines };
}

async function role(call: Call): Promise<unknown> {
  const control = await import('../control/account-role.ts');
  const name = call.args[0] === undefined ? undefined : String(call.args[0]);
  if (call.options.print === true) {
    const definition = await control.printedRole(await call.context(), name);
    if (!call.json) call.shell.stdout.write(`${JSON.stringify(definition, null, 2)}\n`);
    return definition;
  }
  const { account, lines, missing } = await control.missingOfRole(await call.context(), name);
  await tellAll(call, `Account ${account.name}`, lines);
  return new Outcome({ account: account.name, missing, verdicts: lines }, missing.length > 0 ? 3 : 0);
}

async function removeAccount(call: Call): Promise<unknown> {
  const control = await import('../control/account.ts');
  const account = await control.removeAccount(await call.context(), String(call.args[0]));
  call.host.tell({ kind: 'text', level: 'success', text: `Account ${account.name} is forgotten.` });
  return { removed: account.name };
}

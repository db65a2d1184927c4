import { createRequire } from 'node:module';
import process from 'node:process';

/**
 * The process around Azurite, joined to Local Azure by a channel. When Local Azure dies in any way, the channel
 * ends, and Azurite with it; it saves its index on SIGTERM, so it is asked before it is forced.
 * Azurite would read its accounts from the environment at its start. Here they come through the channel: the first
 * list starts it, later ones count at once, and each answer tells so. No key is ever in an environment or argv.
 */
interface AccountStore {
  accounts: unknown;
  init(): Promise<void>;
  refresh(): void;
  parserAccountsEnvironmentString(text: string): unknown;
}

const load = createRequire(import.meta.url);
const { default: Accounts } = load('azurite/dist/src/common/AccountDataStore.js') as {
  default: { prototype: AccountStore };
};
const stores = new Set<AccountStore>();
let latest: string | undefined;

// Azurite calls this at its start and once a minute.
Accounts.prototype.refresh = function (this: AccountStore) {
  stores.add(this);
  this.accounts = this.parserAccountsEnvironmentString(latest ?? '');
};

process.on('message', (message: { readonly accounts?: string }) => {
  if (message.accounts === undefined) return;
  const isFirst = latest === undefined;
  latest = message.accounts;
  for (const store of stores) store.refresh();
  process.send?.({ accounts: latest.length });
  if (isFirst) start();
});
process.on('disconnect', () => {
  process.kill(process.pid, 'SIGTERM');
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), 5000);
});

function start(): void {
  // From here on Azurite keeps the process alive; the channel alone does not.
  load('azurite/dist/src/blob/main.js');
  process.channel?.unref();
}

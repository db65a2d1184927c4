import { createRequire } from 'node:module';
import process from 'node:process';

/**
 * The process around Azurite, joined to Local Azure by a channel. When Local Azure dies in any way, the channel
 * ends, and Azurite with it; it saves its index on SIGTERM, so it is asked before it is forced.
 * Azurite reads its accounts from the environment, now and then. A new list that comes through the channel is read
 * at once, so that a new account costs no restart; the answer tells that it counts.
 */
interface AccountStore {
  init(): Promise<void>;
  refresh(): void;
}

const load = createRequire(import.meta.url);
const { default: Accounts } = load('azurite/dist/src/common/AccountDataStore.js') as {
  default: { prototype: AccountStore };
};
const stores = new Set<AccountStore>();
const init = Accounts.prototype.init;
Accounts.prototype.init = function (this: AccountStore) {
  stores.add(this);
  return init.call(this);
};

process.on('message', (message: { readonly accounts?: string }) => {
  if (message.accounts === undefined) return;
  process.env.AZURITE_ACCOUNTS = message.accounts;
  for (const store of stores) store.refresh();
  process.send?.({ accounts: message.accounts.length });
});
process.on('disconnect', () => {
  process.kill(process.pid, 'SIGTERM');
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), 5000);
});
// The channel alone keeps nobody alive.
process.channel?.unref();

load('azurite/dist/src/blob/main.js');

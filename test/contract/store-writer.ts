import { openStore } from '../../src/control/store/open-store.ts';
import { isStandbyError } from '../../src/errors.ts';

/** One of several processes that write to a store at once: store-writer.ts URL NAME COUNT */
const [url = '', name = '', count = '0'] = process.argv.slice(2);
const store = await openStore(url);
const guid = '00000000-0000-4000-8000-000000000000';
const base = {
  subscriptionId: guid,
  tenantId: guid,
  applicationId: guid,
  environment: 'public',
  createdAtMs: 0,
} as const;
try {
  await store.accounts.insert({ id: 'shared', name: 'shared', ...base });
} catch (error) {
  if (!isStandbyError(error) || error.code !== 'NAME_TAKEN') throw error;
}
for (let index = 0; index < Number(count); index++) {
  const id = `${name}-${index}`;
  await store.accounts.insert({ id, name: id, ...base });
  await store.accounts.update('shared', (item) => ({ ...item, createdAtMs: item.createdAtMs + 1 }));
  await store.events.append({ id, atMs: index, level: 'info', code: 'TOLD', text: id });
}
await store.close();

import { randomUUID } from 'node:crypto';
import { openSecrets } from '../../src/control/secrets.ts';
import { openStore } from '../../src/control/store/open-store.ts';

/** One of several processes that need the same new secret at once: secrets-maker.ts URL KEY-FILE */
const [url = '', file = ''] = process.argv.slice(2);
const store = await openStore(url);
const secrets = await openSecrets(store.secrets, { file });
process.stdout.write(await secrets.getOrMake('authority', async () => randomUUID()));
await store.close();

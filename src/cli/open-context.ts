import { join } from 'node:path';
import type { Config } from '../config.ts';
import { makeConnect } from '../control/connect.ts';
import type { Context } from '../control/context.ts';
import { openSecrets } from '../control/secrets.ts';
import { openStore } from '../control/store/open-store.ts';
import { StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Account } from '../model/account.ts';
import { makeOwner } from '../plan/owner.ts';
import type { Host } from '../ports/host.ts';
import type { Shell } from './shell.ts';

interface Parts {
  readonly shell: Shell;
  readonly config: Config;
  readonly host: Host;
  readonly log: Log;
}

/** Wires everything a use case works with. The store is opened here and closed by `close`. */
export async function openContext(parts: Parts): Promise<Context & { close(): Promise<void> }> {
  const { shell, config, host, log } = parts;
  const { clock } = shell;
  const store = await openStore(config.storeUrl);
  const secrets = await openSecrets(
    store.secrets,
    config.passphrase === undefined ? { file: config.keyFile } : { passphrase: config.passphrase },
  );
  const cloudWith = (account: Account, clientSecret: string) =>
    shell.parts.cloud({ account, clientSecret, clock, log });
  const firstBoot = await shell.parts.firstBoot({ cacheFolder: config.cacheFolder });
  const { crashAt } = config;
  return {
    store,
    secrets,
    host,
    clock,
    log,
    homeFolder: config.homeFolder,
    ...(config.pricesFile === undefined ? {} : { pricesFile: config.pricesFile }),
    environment: shell.childEnvironment,
    owner: makeOwner(),
    cloudWith,
    async cloudFor(account) {
      return cloudWith(account, await clientSecretOf(account, secrets));
    },
    connect: makeConnect({ store, secrets, clock, log }),
    firstBoot,
    detach: (args, name) =>
      shell.detach([...args, '--home', config.homeFolder, '--json'], join(config.homeFolder, `${name}.log`)),
    ...(crashAt === undefined
      ? {}
      : {
          atPoint: (point) => {
            if (`${point.stepId}:${point.phase}` === crashAt) shell.die();
          },
        }),
    close: () => store.close(),
  };
}

async function clientSecretOf(account: Account, secrets: Context['secrets']): Promise<string> {
  const secret = await secrets.get(`account/${account.id}/client-secret`);
  if (secret !== undefined) return secret;
  throw new StandbyError({
    code: 'SECRET_MISSING',
    what: `The client secret of the account ${account.name} is not in the store.`,
    next: `Register the account again: standby account remove ${account.name}, then standby account add.`,
  });
}

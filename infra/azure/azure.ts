import type { Account } from '../../src/model/account.ts';
import type { Calls } from './calls.ts';
import type { Clients } from './clients.ts';
import type { CloudEndpoints } from './environments.ts';

/** What every resource file works with. */
export interface Azure {
  readonly account: Account;
  readonly clientSecret: string;
  readonly endpoints: CloudEndpoints;
  readonly clients: Clients;
  readonly calls: Calls;
}

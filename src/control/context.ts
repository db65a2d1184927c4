import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { Account } from '../model/account.ts';
import type { Appliance } from '../model/appliance.ts';
import type { Cloud } from '../ports/cloud.ts';
import type { FirstBoot } from '../ports/first-boot.ts';
import type { Host } from '../ports/host.ts';
import type { Store } from '../ports/store.ts';
import type { ControlSession } from '../wire/control-session.ts';

/** Everything a use case works with. Made in main.ts; tests make their own. */
export interface Context {
  readonly store: Store;
  readonly secrets: Secrets;
  readonly host: Host;
  readonly clock: Clock;
  readonly log: Log;
  readonly homeFolder: string;
  /** A price table in place of ours (STANDBY_PRICES). */
  readonly pricesFile?: string;
  /** What programs that we start may see of our own environment. */
  readonly environment?: Readonly<NodeJS.ProcessEnv>;
  /** Who holds leases: unique for each process. */
  readonly owner: string;
  /** A cloud for a saved account (its secret is decrypted inside). */
  cloudFor(account: Account): Promise<Cloud>;
  /** The same cloud for checks alone, which may share answers with those of other scenarios. */
  forChecks?(cloud: Cloud): Cloud;
  /** A cloud for an account that is not saved yet. */
  cloudWith(account: Account, clientSecret: string): Promise<Cloud>;
  /** Dials the appliance; enrols it first when its one-time token has not been used yet. */
  connect(appliance: Appliance): Promise<ControlSession>;
  readonly firstBoot: FirstBoot;
  /** Starts `standby ARGS` as a process of its own that outlives this one; its words go to `<home>/NAME.log`. */
  detach?(args: readonly string[], name: string): Promise<void>;
  /** Called at named points of a run; armed by tests only (STANDBY_CRASH_AT), to die exactly there. */
  atPoint?(point: { readonly stepId: string; readonly phase: 'started' | 'acted' | 'before-done' }): void;
}

/** Plain text outside, ciphertext in the store. */
export interface Secrets {
  get(name: string): Promise<string | undefined>;
  set(name: string, plainText: string): Promise<void>;
  /** Makes it once: two processes that come at the same time get the same value. */
  getOrMake(name: string, make: () => Promise<string>): Promise<string>;
  remove(name: string): Promise<void>;
}

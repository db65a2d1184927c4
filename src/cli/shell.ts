import type { Readable, Writable } from 'node:stream';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Context } from '../control/context.ts';
import type { Log } from '../log.ts';
import type { Account } from '../model/account.ts';
import type { Cloud } from '../ports/cloud.ts';
import type { FirstBoot } from '../ports/first-boot.ts';
import type { Host } from '../ports/host.ts';

/** What the command line needs from the process it runs in and from the folders that src may not import. main.ts makes it. */
export interface Shell {
  /** Without the node binary and the script. */
  readonly argv: readonly string[];
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  /** Aborted by Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly processId: number;
  /** What processes we start inherit: this one's environment less Standby's own variables. */
  readonly childEnvironment: NodeJS.ProcessEnv;
  /** Starts this program again, with other arguments, as a process that outlives this one. */
  detach(args: readonly string[], logFile: string): Promise<void>;
  /** Ends this process as if the power failed; armed by STANDBY_CRASH_AT only. */
  die(): void;
  config(home?: string): Promise<Config>;
  readonly parts: Parts;
}

/** The parts outside src, each loaded at its first use. */
export interface Parts {
  cloud(facts: { account: Account; clientSecret: string; clock: Clock; log: Log }): Promise<Cloud>;
  firstBoot(facts: { cacheFolder: string }): Promise<FirstBoot>;
  local(call: OutsideCall & { readonly verb: string }): Promise<unknown>;
  demo(call: OutsideCall): Promise<number>;
  terminalHost(): Promise<MakeHost>;
  wizards(): Promise<Wizards>;
}

export interface OutsideCall {
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
  readonly homeFolder: string;
  readonly host: Host;
  readonly json: boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly processId: number;
  readonly cacheFolder: string;
  readonly environment: NodeJS.ProcessEnv;
  /** One JSON document on standard output. */
  print(document: unknown): void;
}

/** How a wizard starts: what is known already, and whether the last question (`Go on?`) is answered. */
export interface WizardStart {
  readonly preset: Readonly<Record<string, unknown>>;
  readonly yes: boolean;
  /** Codes of warnings that the person accepts (`--accept`). */
  readonly accept?: readonly string[];
}

export type Wizard = (context: Context, start: WizardStart) => Promise<unknown>;

export type MakeHost = (
  shell: Pick<Shell, 'stdin' | 'stdout' | 'stderr' | 'signal' | 'clock'>,
  look: { readonly color: boolean },
) => Host;

export const WIZARD_NAMES = [
  'account',
  'appliance',
  'appliance-add',
  'open-port',
  'master',
  'scenario',
  'scenario-edit',
  'run',
  'switchover',
  'vm-start',
  'main-menu',
] as const;
export type Wizards = Readonly<Record<(typeof WIZARD_NAMES)[number], Wizard>>;

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StandbyError } from '../../src/errors.ts';
import type { LocalEndpoint } from '../local/local-azure.ts';
import type { ProcessMark } from '../local/processes.ts';
import type { DemoCall, DemoFacts } from './call.ts';
import type { Household } from './household.ts';
import type { MasterGuest } from './master-guest.ts';
import { type CommandOptions, type CommandResult, standby } from './product.ts';
import type { RowWriter } from './row-writer.ts';
import type { Row } from './rows.ts';

/** What the steps of the demo share: who calls, where it lives, and what was found out so far. */
export interface Scene {
  readonly call: DemoCall;
  readonly house: Household;
  /** Filled as the story goes on. */
  readonly facts: Partial<DemoFacts>;
  /** Of a live story; filled as it goes on. */
  readonly live: Partial<LiveMaster>;
}

export interface LiveMaster {
  engine: ProcessMark;
  /** Where its engine serves its disk. */
  diskUri: string;
  guest: MasterGuest;
  writer: RowWriter;
  /** By the clock of this machine, which is the master's too: of the last position that is durable on the appliance. */
  receivedAtMs: number;
  killedAtMs: number;
  /** That whoever is the server now must hold: what the standby came up with, and what was appended since. */
  rows: readonly Row[];
  /** `standby restore`, on the machine that comes home. */
  restore: Promise<CommandResult>;
}

export interface StoryStep {
  readonly title: string;
  /** Gives one line about what came of it, for the table at the end. */
  run(scene: Scene): Promise<string>;
}

export const SCENARIO = 'demo';

/** Where Local Azure is, and who may talk to it. */
export async function endpointOf({ house }: Scene): Promise<LocalEndpoint> {
  const text = await readFile(join(house.controlHome, 'local-azure/endpoint.json'), 'utf8');
  return JSON.parse(text) as LocalEndpoint;
}

export function control(
  scene: Scene,
  args: readonly string[],
  more: Pick<CommandOptions, 'input' | 'alsoFine'> = {},
): Promise<CommandResult> {
  return standby(args, { ...commandOptions(scene), home: scene.house.controlHome, ...more });
}

export function commandOptions({ call }: Scene): Pick<CommandOptions, 'environment' | 'signal'> {
  return { environment: { ...call.environment, STANDBY_CACHE: call.cacheFolder }, signal: call.signal };
}

export function unexpected(what: string, why: string): StandbyError {
  return new StandbyError({ code: 'DEMO_UNEXPECTED', what, why });
}

/** A step before this one has laid it down. */
export function given<T>(thing: T | undefined, name: string): T {
  if (thing === undefined) throw unexpected('The story lost its thread.', `Nobody has told the ${name}.`);
  return thing;
}

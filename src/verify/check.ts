import type { Clock } from '../clock.ts';
import type { Account } from '../model/account.ts';
import type { Appliance } from '../model/appliance.ts';
import type { MasterInventory } from '../model/disk.ts';
import type { Scenario } from '../model/scenario.ts';
import type { Verdict } from '../model/verdict.ts';
import type { Cloud } from '../ports/cloud.ts';
import type { ControlSession } from '../wire/control-session.ts';
import type { Region } from './region.ts';

/** When a scenario is looked at: when it is written, before each copy, and before the standby is built. */
export const MOMENTS = ['create', 'run', 'switchover'] as const;
export type Moment = (typeof MOMENTS)[number];

export interface VerifyFacts {
  readonly scenario: Scenario;
  /** Undefined when control does not know the master. */
  readonly inventory: MasterInventory | undefined;
  /** Undefined when control does not know the appliance. */
  readonly appliance: Appliance | undefined;
  readonly cloud: Cloud;
  /** Whose secret the cloud is asked with. */
  readonly account?: Pick<Account, 'name' | 'secretExpiresOn'>;
  /** Every other scenario that control knows, on any appliance. The scenario itself may be among them. */
  readonly otherScenarios: readonly Scenario[];
  /** When the appliance was reached. */
  readonly session?: ControlSession;
  readonly clock: Clock;
  readonly moment: Moment;
}

/** What a check gets: the facts, and what the region really offers, asked for once and shared by all checks. */
export interface CheckFacts extends VerifyFacts {
  readonly region: Region;
}

/**
 * One thing that must be right, in one file, listed in index.ts. It returns what it found and never throws for a
 * bad finding; an error it does throw means that it could not look, and verify.ts says so in its place.
 */
export interface Check {
  readonly id: string;
  /** What is checked, for a list: `VM size`. */
  readonly title: string;
  /** Default: always. */
  readonly moments?: readonly Moment[];
  run(facts: CheckFacts): Promise<readonly Finding[]>;
}

/** A verdict without its title; the runner adds the check's. */
export type Finding = Omit<Verdict, 'title'>;

export function ok(code: string, found: string): Finding {
  return { code, status: 'ok', found };
}

export function skipped(code: string, found: string): Finding {
  return { code, status: 'skipped', found };
}

export function wrong(code: string, found: string, expected: string, next: string): Finding {
  return { code, status: 'error', found, expected, next };
}

export function doubtful(code: string, found: string, expected: string, next: string): Finding {
  return { code, status: 'warning', found, expected, next };
}

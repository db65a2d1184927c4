import type { Clock } from '../clock.ts';
import type { Account } from '../model/account.ts';
import type { Appliance } from '../model/appliance.ts';
import type { MasterInventory } from '../model/disk.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { Verdict } from '../model/verdict.ts';
import type { Cloud } from '../ports/cloud.ts';
import type { CloudVerb } from '../ports/cloud-actions.ts';
import type { ControlSession } from '../wire/control-session.ts';
import type { PriceTable } from './prices.ts';
import type { Region } from './region.ts';

/**
 * When a scenario is looked at: when it is written, before each copy, before the standby is built, and in between
 * (`standby scenario verify`, `standby serve`). A check for `create` looks in between too.
 */
export const MOMENTS = ['create', 'run', 'switchover', 'watch'] as const;
export type Moment = (typeof MOMENTS)[number];

/** As people read the verdicts, and as docs/VERIFY.md is ordered. */
export const GROUPS = [
  'Identity',
  'Master',
  'Capacity',
  'Network',
  'Names',
  'Appliance',
  'Replication',
  'Redirect',
  'Money',
] as const;

export interface VerifyFacts {
  readonly scenario: Scenario;
  /** Undefined when control does not know the master. */
  readonly inventory: MasterInventory | undefined;
  /** Undefined when control does not know the appliance. */
  readonly appliance: Appliance | undefined;
  readonly cloud: Cloud;
  /** Whose secret the cloud is asked with. */
  readonly account?: Pick<Account, 'name' | 'secretExpiresOn'> & Partial<Pick<Account, 'subscriptionId'>>;
  /** Every other scenario that control knows, on any appliance. The scenario itself may be among them. */
  readonly otherScenarios: readonly Scenario[];
  /** When the appliance was reached. */
  readonly session?: ControlSession;
  readonly clock: Clock;
  readonly moment: Moment;
  /** What happened to the scenario; absent while it is being written. */
  readonly status?: ScenarioStatus;
  /** Azure actions that the plans of this scenario need. */
  readonly actions?: readonly string[];
  readonly prices?: PriceTable;
  /** Sizes and zones in the order in which a switchover tries them; the first is the scenario's own. */
  readonly rungs?: readonly Rung[];
  /** How users are sent to the standby; absent: by nothing of ours. */
  readonly redirect?: { readonly record?: RecordLook; readonly scripts?: readonly ScriptLook[] };
  /** Those that switch over together with it. */
  readonly group?: { readonly name: string; readonly scenarioIds: readonly string[] };
  /** Scenarios whose standby exists already: what they need is in use, and counted by Azure. */
  readonly standingScenarioIds?: ReadonlySet<string>;
  /** What the masters of the other scenarios told of themselves, by master id. */
  readonly otherInventories?: ReadonlyMap<string, MasterInventory>;
}

/** A DNS record that users follow, as src/redirect looks at it. */
export interface RecordLook {
  readonly title: string;
  current(): Promise<{ readonly addresses: readonly string[]; readonly ttlSeconds: number }>;
  /** Proves that a change would be accepted, and leaves the record as it is. */
  rehearse(): Promise<void>;
}

export interface ScriptLook {
  /** Where in a switchover it runs. */
  readonly phase: string;
  readonly program: string;
  look(): Promise<'runnable' | 'missing' | 'not-runnable'>;
}

export interface Rung {
  readonly size: string;
  readonly zone?: string;
}

/** What a check gets: the facts, and what the region really offers, asked for once and shared by all checks. */
export interface CheckFacts extends VerifyFacts {
  readonly region: Region;
  /** Azure actions that the checks themselves need. */
  readonly looks: readonly string[];
}

/**
 * One thing that must be right, in one file, listed in index.ts. It returns what it found and never throws for a
 * bad finding; an error it does throw means that it could not look, and verify.ts says so in its place.
 */
export interface Check {
  readonly id: string;
  /** What is checked, for a list: `VM size`. */
  readonly title: string;
  readonly group: (typeof GROUPS)[number];
  /** What it asks of the cloud, by itself or through `region`: the least-privilege role is made of this. */
  readonly uses: readonly CloudVerb[];
  /** Every code that it may find and that is not `ok`; docs/VERIFY.md is made of this. */
  readonly codes: Readonly<Record<string, Explained>>;
  /** Default: always. */
  readonly moments?: readonly Moment[];
  run(facts: CheckFacts): Promise<readonly Finding[]>;
}

/** Why it is found, and what puts it right. */
export interface Explained {
  readonly status: 'error' | 'warning' | 'skipped';
  readonly cause: string;
  readonly cure: string;
}

export function error(cause: string, cure: string): Explained {
  return { status: 'error', cause, cure };
}

export function warning(cause: string, cure: string): Explained {
  return { status: 'warning', cause, cure };
}

export function unseen(cause: string, cure: string): Explained {
  return { status: 'skipped', cause, cure };
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

import type { Clock } from '../clock.ts';
import type { Appliance } from '../model/appliance.ts';
import type { MasterInventory } from '../model/disk.ts';
import type { EventRecord } from '../model/event.ts';
import type { ScenarioScript, ScriptEvent } from '../model/redirect.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { Verdict } from '../model/verdict.ts';
import type { Cloud } from '../ports/cloud.ts';
import type { Redirect } from '../redirect/redirect.ts';
import type { ScriptResult } from '../redirect/user-script.ts';
import type { ControlSession } from '../wire/control-session.ts';
import type { BackupRequested } from './steps/request-backup.ts';

/**
 * What the plans of one run (`run`, `switchover`, `vm-start`) work with. Control makes it from its context; a plan
 * built again from an equal Work has the same steps, so scenario and inventory must be those of the run's start.
 */
export interface Work {
  /** The run's id: names of snapshots, disks, NICs and addresses are derived from it. */
  readonly runId: string;
  readonly scenario: Scenario;
  readonly inventory: MasterInventory;
  readonly appliance: Appliance;
  readonly cloud: Cloud;
  readonly clock: Clock;
  /** A fresh session with the appliance; whoever asked for it closes it. */
  connect(): Promise<ControlSession>;
  status(): Promise<ScenarioStatus>;
  /**
   * Merges into the stored status. A field given as undefined is taken away; a new `state` without `reason` takes
   * the old reason away and sets `sinceMs`.
   */
  setStatus(change: StatusChange): Promise<ScenarioStatus>;
  /** Appends an event of this scenario and run, unless this run already has one of that code (a resumed step asks twice). */
  event(event: WorkEvent): Promise<void>;
  /** All checks that fit this plan's moment. Never throws for a bad finding. */
  verify(): Promise<readonly Verdict[]>;
  /** Moving figures for the person watching; nothing of it is stored. */
  tellProgress(progress: WorkProgress): void;
  /** How long things may take; tests and Local Azure shorten it. */
  readonly patience?: Patience;
  /** For a scenario with a redirection: whatever changes its record, with its secret. */
  redirect?(): Promise<Redirect>;
  /** For a scenario with scripts. */
  runScript?(
    script: ScenarioScript,
    call: { readonly event: ScriptEvent; readonly facts: Readonly<Record<string, string>> },
    signal: AbortSignal,
  ): Promise<ScriptResult>;
  /** For a scenario with backups after a switchover: begins one that nobody waits for. */
  requestBackup?(): Promise<BackupRequested>;
  /** What the operator leaves out this time, because it fails and the standby is needed. */
  readonly leaveOut?: { readonly redirect?: boolean; readonly scripts?: boolean; readonly patch?: boolean };
  /** A person has made sure that the master is off, which nobody could fence. */
  readonly masterIsDown?: boolean;
  /** What is made is a drill's: it carries other roles than a standby. */
  readonly isDrill?: boolean;
  /** The operator has looked and goes live although the boot proof found errors. The report still says so. */
  readonly acceptUnprovenBoot?: boolean;
  /** The appliance is lost, and a switchover is taken back without it: what it holds stays as it is, and that is said. */
  readonly withoutAppliance?: boolean;
}

export type StatusChange = Partial<Omit<ScenarioStatus, 'id' | 'name' | 'sinceMs'>>;

export type WorkEvent = Pick<EventRecord, 'level' | 'code' | 'text' | 'data'>;

/** The fields of a `progress` notice (src/ports/host.ts). */
export interface WorkProgress {
  readonly id: string;
  readonly title: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly bytesPerSecond: number;
  readonly secondsLeft?: number;
}

export interface Patience {
  /** From "VM is being started" to "Azure says it runs". */
  readonly runningMs?: number;
  /** From "runs" to signs of life and a healthy answer. */
  readonly bootMs?: number;
  /** Until an attached disk shows on the appliance. */
  readonly lunMs?: number;
  /** Until everything that a fenced master has written is here. */
  readonly drainMs?: number;
}

export const DEFAULT_PATIENCE: Required<Patience> = {
  runningMs: 15 * 60_000,
  bootMs: 10 * 60_000,
  lunMs: 3 * 60_000,
  drainMs: 60 * 60_000,
};

export function patienceOf(work: Pick<Work, 'patience'>): Required<Patience> {
  return { ...DEFAULT_PATIENCE, ...work.patience };
}

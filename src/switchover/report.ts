import { isoTime, timeText } from '../clock.ts';
import { GIB } from '../model/disk.ts';
import type { DiskDigest } from '../model/scenario.ts';
import type { Verdict } from '../model/verdict.ts';
import type { RunRecord, RunStatus, StepStatus } from '../plan/plan.ts';
import type { Notice } from '../ports/host.ts';
import type { ReplicaPoint } from '../wire/control-session.ts';
import { blueprintOf, RESOURCE_TYPES } from './blueprint.ts';
import type { Refusal } from './ladder.ts';
import { COMMIT_SWITCHOVER } from './steps/commit-switchover.ts';
import { createNetworkInterfaceId, type MadeNic } from './steps/create-network-interface.ts';
import { createPublicIpId, type MadePublicIp } from './steps/create-public-ip.ts';
import { createStandbyDiskId, type MadeDisk } from './steps/create-standby-disk.ts';
import { CREATE_VIRTUAL_MACHINE, type MadeMachine } from './steps/create-virtual-machine.ts';
import { BOOT_WORDS, DECLARE_SWITCHED_OVER } from './steps/declare-switched-over.ts';
import { DRAIN_MASTER, type Drained } from './steps/drain-master.ts';
import { PATCH_REPLICA, type Patched } from './steps/patch-replica.ts';
import { type BootProof, PROVE_BOOT } from './steps/prove-boot.ts';
import { REDIRECT_CLIENTS, type Redirected } from './steps/redirect-clients.ts';
import { type BackupRequested, REQUEST_BACKUP } from './steps/request-backup.ts';
import { SEAL_REPLICA, type Sealed } from './steps/seal-replica.ts';
import { type MadeSnapshot, snapshotDiskId } from './steps/snapshot-disk.ts';
import { type Running, WAIT_RUNNING } from './steps/wait-running.ts';
import {
  operationChecklist,
  plannedEvents,
  redirectedEvents,
  steppedDownEvents,
  switchedOverEvents,
  vmOnlineEvent,
  whomToTell,
} from './words.ts';
import type { Work, WorkEvent } from './work.ts';

/** What a switchover did and what a person does next; JSON as it stands. Made of the run's record alone. */
export interface SwitchoverReport {
  readonly scenario: { readonly id: string; readonly name: string };
  readonly runId: string;
  readonly status: RunStatus;
  /** True once the commit point is passed. */
  readonly live: boolean;
  readonly totalMs: number;
  readonly steps: readonly {
    readonly id: string;
    readonly title: string;
    readonly status: StepStatus;
    readonly attempts: number;
    readonly ms?: number;
  }[];
  /** Every Azure resource of the standby that is known to exist. */
  readonly resources: readonly { readonly type: string; readonly name: string; readonly id: string }[];
  readonly vm?: {
    readonly id: string;
    readonly name: string;
    readonly size: string;
    readonly zone?: string;
    readonly region: string;
    /** Where Azure had no room before, with its own words. */
    readonly refused?: readonly Refusal[];
  };
  readonly addresses: readonly {
    readonly masterNicId: string;
    readonly privateIp?: string;
    readonly publicIp?: string;
  }[];
  /** The last position: what the standby's disks hold. */
  readonly copied?: {
    readonly sealed: boolean;
    readonly notSealedBecause?: string;
    readonly epoch: number;
    readonly synchronisedAt?: string;
    readonly digests: readonly DiskDigest[];
    /** Live: the position that was switched to; the time is the master's. */
    readonly position?: {
      readonly sequence: string;
      readonly at: string;
      readonly leftOutChanges: number;
      readonly point: ReplicaPoint;
    };
  };
  /** What the standby's disks have otherwise than the master's, and what was left. */
  readonly patch?: Patched;
  readonly boot?: {
    readonly outcome: BootProof['outcome'];
    readonly bootMs: number;
    readonly verdicts: readonly Verdict[];
  };
  /** Planned: nothing was lost, and this proves it. */
  readonly planned?: Drained;
  /** The record that leads clients to the standby, and what it was before. */
  readonly redirected?: Redirected['record'];
  /** The backup that was asked for; how it ended is told by its own run and events. */
  readonly backup?: BackupRequested;
  readonly events: readonly WorkEvent[];
  readonly checklist: readonly string[];
  readonly tell: readonly string[];
}

type ReportWork = Pick<Work, 'runId' | 'scenario' | 'inventory'> & Partial<Pick<Work, 'appliance'>>;

/** Of a finished run, and as well of one that failed or is under way: then it shows what there is. */
export function switchoverReport(work: ReportWork, run: RunRecord): SwitchoverReport {
  const { scenario, inventory } = work;
  const outputs = outputsOf(run);
  const addresses = addressesOf(work, outputs);
  const vm = vmOf(work, outputs);
  const sealed = outputs.get(SEAL_REPLICA) as Sealed | undefined;
  const boot = outputs.get(PROVE_BOOT) as BootProof | undefined;
  const patch = outputs.get(PATCH_REPLICA) as Patched | undefined;
  const drained = outputs.get(DRAIN_MASTER) as Drained | undefined;
  const redirected = outputs.get(REDIRECT_CLIENTS) as Redirected | undefined;
  const backup = outputs.get(REQUEST_BACKUP) as BackupRequested | undefined;
  const declared = outputs.has(DECLARE_SWITCHED_OVER);
  // A VM that was only started again has no commit point: nothing new was made.
  const restarted = declared && !outputs.has(COMMIT_SWITCHOVER);
  const live = declared || outputs.has(COMMIT_SWITCHOVER);
  return {
    scenario: { id: scenario.id, name: scenario.name },
    runId: run.id,
    status: run.status,
    live,
    totalMs: totalMs(run),
    steps: run.steps.map(({ stepId: id, title, status, attempts, startedAtMs, endedAtMs }) => ({
      id,
      title,
      status,
      attempts,
      ...(startedAtMs === undefined || endedAtMs === undefined ? {} : { ms: endedAtMs - startedAtMs }),
    })),
    resources: resourcesOf(work, outputs),
    ...(vm ? { vm } : {}),
    addresses,
    ...(sealed ? { copied: copiedOf(sealed) } : {}),
    ...(patch ? { patch } : {}),
    ...(boot ? { boot: { outcome: boot.outcome, bootMs: boot.bootMs, verdicts: boot.verdicts } } : {}),
    ...(drained ? { planned: drained } : {}),
    ...(redirected?.record ? { redirected: redirected.record } : {}),
    ...(backup ? { backup } : {}),
    events:
      live && vm && boot ? eventsOf(scenario, { vm, boot, restarted, sealed, drained, redirected }) : [],
    checklist: live ? operationChecklist(inventory, boot?.address) : [],
    tell: live && !restarted ? whomToTell(inventory, addresses, redirected) : [],
  };
}

function eventsOf(
  scenario: Work['scenario'],
  done: {
    readonly vm: NonNullable<SwitchoverReport['vm']>;
    readonly boot: BootProof;
    readonly restarted: boolean;
    readonly sealed: Sealed | undefined;
    readonly drained: Drained | undefined;
    readonly redirected: Redirected | undefined;
  },
): readonly WorkEvent[] {
  const { vm, boot, restarted, sealed, drained, redirected } = done;
  if (restarted) return [vmOnlineEvent(vm.id), ...redirectedEvents(redirected)];
  return [
    ...plannedEvents(drained),
    ...steppedDownEvents(vm),
    ...switchedOverEvents(scenario, vm.id, BOOT_WORDS[boot.outcome], sealed),
    ...redirectedEvents(redirected),
  ];
}

type Outputs = ReadonlyMap<string, unknown>;

function outputsOf(run: RunRecord): Outputs {
  const done = run.steps.filter((step) => step.status === 'done');
  return new Map(done.map((step) => [step.stepId, step.output ?? {}]));
}

function totalMs(run: RunRecord): number {
  const ends = run.steps.flatMap((step) => step.endedAtMs ?? []);
  const starts = run.steps.flatMap((step) => step.startedAtMs ?? []);
  return starts.length === 0 ? 0 : Math.max(...ends, ...starts) - Math.min(...starts);
}

function vmOf({ scenario }: ReportWork, outputs: Outputs): SwitchoverReport['vm'] {
  const made = outputs.get(CREATE_VIRTUAL_MACHINE) as MadeMachine | undefined;
  const running = outputs.get(WAIT_RUNNING) as Running | undefined;
  const id = made?.vmId ?? running?.vmId;
  if (id === undefined) return undefined;
  const { name, size } = scenario.vm;
  const zone = made?.size === undefined ? scenario.vm.zone : made.zone;
  return {
    id,
    name,
    size: made?.size ?? size,
    ...(zone ? { zone } : {}),
    region: scenario.region,
    ...(made?.refused ? { refused: made.refused } : {}),
  };
}

function addressesOf(work: ReportWork, outputs: Outputs): SwitchoverReport['addresses'] {
  const { addresses: found } = (outputs.get(PROVE_BOOT) as BootProof | undefined) ?? {};
  if (found) return found;
  return blueprintOf(work).nics.flatMap(({ nic }) => {
    const made = outputs.get(createNetworkInterfaceId(nic.masterNicId)) as MadeNic | undefined;
    const publicIp = outputs.get(createPublicIpId(nic.masterNicId)) as MadePublicIp | undefined;
    if (!made && !publicIp) return [];
    return [
      {
        masterNicId: nic.masterNicId,
        ...(made?.privateIp ? { privateIp: made.privateIp } : {}),
        ...(publicIp?.address ? { publicIp: publicIp.address } : {}),
      },
    ];
  });
}

function resourcesOf(work: ReportWork, outputs: Outputs): SwitchoverReport['resources'] {
  const { disks, nics } = blueprintOf(work);
  const found: { type: string; id: string | undefined }[] = [];
  for (const { diskId } of disks) {
    const snapshot = outputs.get(snapshotDiskId(diskId)) as MadeSnapshot | undefined;
    const disk = outputs.get(createStandbyDiskId(diskId)) as MadeDisk | undefined;
    found.push({ type: RESOURCE_TYPES.snapshot, id: snapshot?.snapshotId });
    found.push({ type: RESOURCE_TYPES.disk, id: disk?.diskId });
  }
  for (const { nic } of nics) {
    const publicIp = outputs.get(createPublicIpId(nic.masterNicId)) as MadePublicIp | undefined;
    const made = outputs.get(createNetworkInterfaceId(nic.masterNicId)) as MadeNic | undefined;
    found.push({ type: RESOURCE_TYPES.publicIp, id: publicIp?.publicIpId });
    found.push({ type: RESOURCE_TYPES.nic, id: made?.nicId });
  }
  found.push({ type: RESOURCE_TYPES.machine, id: vmOf(work, outputs)?.id });
  return found.flatMap(({ type, id }) => (id ? [{ type, name: id.split('/').at(-1) ?? id, id }] : []));
}

function copiedOf(sealed: Sealed): SwitchoverReport['copied'] {
  return {
    sealed: sealed.sealed,
    ...(sealed.why ? { notSealedBecause: sealed.why } : {}),
    epoch: sealed.epoch,
    ...(sealed.synchronisedAtMs === undefined ? {} : { synchronisedAt: isoTime(sealed.synchronisedAtMs) }),
    digests: sealed.digests,
    ...(sealed.position
      ? {
          position: {
            sequence: sealed.position.sequence,
            at: isoTime(sealed.position.timeMs),
            leftOutChanges: sealed.position.leftOutChanges,
            point: sealed.point ?? { latest: true },
          },
        }
      : {}),
  };
}

/** The report for people, in the order in which they need it. */
export function reportNotices(report: SwitchoverReport): Notice[] {
  const text = (level: 'info' | 'success' | 'warning' | 'error', line: string): Notice => ({
    kind: 'text',
    level,
    text: line,
  });
  const table = (
    title: string,
    columns: readonly string[],
    rows: readonly (readonly string[])[],
  ): Notice[] => (rows.length > 0 ? [{ kind: 'table', title, columns, rows }] : []);
  return [
    ...table(
      'Steps',
      ['step', 'status', 'time'],
      report.steps.map((step) => [step.title, step.status, seconds(step.ms)]),
    ),
    ...table(
      'Resources',
      ['type', 'name', 'id'],
      report.resources.map((one) => [one.type.split('/').at(-1) ?? '', one.name, one.id]),
    ),
    ...table(
      'Addresses',
      ['NIC', 'private', 'public'],
      report.addresses.map((one) => [one.masterNicId, one.privateIp ?? '-', one.publicIp ?? '-']),
    ),
    ...copiedNotices(report, text),
    ...patchNotices(report.patch, text, table),
    ...table(
      'Boot proof',
      ['check', 'verdict', 'found'],
      (report.boot?.verdicts ?? []).map((one) => [one.title, one.status, one.found]),
    ),
    ...(report.boot
      ? [
          text(
            report.boot.outcome === 'proven' ? 'success' : 'warning',
            `Boot ${BOOT_WORDS[report.boot.outcome]}.`,
          ),
        ]
      : []),
    ...report.events.map((event) =>
      text(event.code === 'SWITCHOVER_COMPLETE' ? 'success' : event.level, event.text),
    ),
    ...(report.backup
      ? [text(report.backup.manual === undefined ? 'info' : 'warning', backupText(report.backup))]
      : []),
    ...(report.checklist.length > 0 ? [text('info', `Operation check:\n${numbered(report.checklist)}`)] : []),
    ...(report.tell.length > 0 ? [text(report.redirected ? 'info' : 'warning', report.tell.join('\n'))] : []),
  ];
}

function patchNotices(
  patch: SwitchoverReport['patch'],
  text: (level: 'info' | 'warning', line: string) => Notice,
  table: (title: string, columns: readonly string[], rows: readonly (readonly string[])[]) => Notice[],
): Notice[] {
  if (!patch) return [];
  const rows = (some: Patched['changes'], how: string) =>
    some.map((one) => [one.diskId, how, `${one.code}: ${one.text}`]);
  const notReady = `Not ready to start in Azure, also with the changes: ${patch.faults.join(', ')}. Look: standby readiness`;
  return [
    ...table(
      'Changed in the copy for Azure; the replica is as it was',
      ['disk', 'how', 'what'],
      [...rows(patch.changes, 'changed'), ...rows(patch.left, 'left')],
    ),
    ...(patch.leftOut ? [text('warning', `The copy was not patched for Azure: ${patch.leftOut}.`)] : []),
    ...(patch.verdict === 'not ready' ? [text('warning', notReady)] : []),
  ];
}

function backupText({ runId, notBeforeMs, manual }: BackupRequested): string {
  if (manual !== undefined || runId === undefined) return manual ?? '';
  const when = notBeforeMs === undefined ? '' : `, not before ${timeText(notBeforeMs)}`;
  return `A backup of the standby was asked for${when}; nothing waits for it: standby runs ${runId}`;
}

function copiedNotices(
  { copied }: SwitchoverReport,
  text: (level: 'info' | 'warning', line: string) => Notice,
): Notice[] {
  if (!copied) return [];
  const size = copied.digests.reduce((sum, disk) => sum + disk.sizeBytes, 0) / GIB;
  const at = copied.synchronisedAt ? timeText(Date.parse(copied.synchronisedAt)) : 'an unknown time';
  const disks = copied.digests.length === 1 ? '1 disk' : `${copied.digests.length} disks`;
  if (copied.position) return [text('info', livePosition(copied.position, disks, size))];
  const position = `Last position copied: epoch ${copied.epoch}, synchronised at ${at}, ${disks}, ${size.toFixed(1)} GiB.`;
  const unsealed = `The replica was not sealed: ${copied.notSealedBecause ?? 'its appliance did not answer'}`;
  return [text('info', position), ...(copied.sealed ? [] : [text('warning', unsealed)])];
}

function livePosition(
  { sequence, at, leftOutChanges, point }: NonNullable<NonNullable<SwitchoverReport['copied']>['position']>,
  disks: string,
  gib: number,
): string {
  const chosen =
    'bookmark' in point ? `bookmark "${point.bookmark}"` : 'latest' in point ? 'the newest' : 'as chosen';
  const left = leftOutChanges > 0 ? ` ${leftOutChanges} received changes after it were left out.` : '';
  return `Switched to position ${sequence} (${chosen}), ${timeText(Date.parse(at))} by the master's clock; ${disks}, ${gib.toFixed(1)} GiB.${left}`;
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? '-' : `${(ms / 1000).toFixed(1)} s`;
}

function numbered(lines: readonly string[]): string {
  return lines.map((line, index) => `  ${index + 1}. ${line}`).join('\n');
}

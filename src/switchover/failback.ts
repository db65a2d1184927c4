import type { RedirectedRecord } from '../model/redirect.ts';
import type { Plan, Step } from '../plan/plan.ts';
import { blueprintOf, type DiskPart } from './blueprint.ts';
import type { FailbackSource } from './failback-words.ts';
import { homeScriptFacts } from './script-facts.ts';
import { ATTACH_COPY_DISKS, type AttachedCopies, attachCopyDisksStep } from './steps/attach-copy-disks.ts';
import { beginFailbackStep, verifyFailbackStep } from './steps/begin-failback.ts';
import { createCopyDiskStep, snapshotStandbyDiskStep } from './steps/copy-standby-disk.ts';
import {
  commitFailbackStep,
  declareFailedBackStep,
  declareGivenUpStep,
  declarePreparedStep,
} from './steps/declare-failed-back.ts';
import { releaseMasterStep } from './steps/fence-master.ts';
import { awaitRestoreStep, closeRestoreStep, openRestoreStep } from './steps/open-restore.ts';
import { redirectBackStep } from './steps/redirect-back.ts';
import { removeCopiesStep } from './steps/remove-copies.ts';
import { removeStandbyStep } from './steps/remove-standby.ts';
import { requestBackupStep } from './steps/request-backup.ts';
import { scriptStages } from './steps/run-script.ts';
import { sealForRestoreStep } from './steps/seal-for-restore.ts';
import { stopStandbyStep } from './steps/stop-standby.ts';
import { tellingWhatIsLeft } from './telling.ts';
import type { Work } from './work.ts';

/**
 * The way home (`standby failback`, G-80). `prepare` brings a copy of the running standby to the master's disks; `finish`
 * stops the standby, sends what changed since, and makes the master the server again. The master's machine asks for its
 * data itself (`standby restore`); these plans open the door and wait for the proof. The replica is not written: it stays
 * the copy that the standby was made of until the master is protected again.
 */
export interface FailbackOptions {
  readonly vmId: string;
  readonly removeStandby: boolean;
  /** From the status, kept in the run's input: clients are sent to the standby. */
  readonly redirected?: RedirectedRecord;
}

const undoCommand = (work: Work) => `standby failback ${work.scenario.name} --undo`;

export function failbackPreparePlan(work: Work, { vmId }: Pick<FailbackOptions, 'vmId'>): Plan {
  return {
    kind: 'failback-prepare',
    title: `Prepare the failback of ${work.scenario.name}`,
    stages: tellingWhatIsLeft(work, undoCommand(work), [
      ...beginning(work, 'standby'),
      [removeEarlierCopies(work)],
      ...copyStages(work, blueprintOf(work).disks, vmId, false),
      [awaitRestoreStep(work)],
      [declarePreparedStep(work)],
    ]),
  };
}

export function failbackPlan(work: Work, options: FailbackOptions): Plan {
  const { vmId, removeStandby, redirected } = options;
  const { disks } = blueprintOf(work);
  const scripts = homeScripts(work, '--finish', vmId);
  return {
    kind: 'failback',
    title: `Bring ${work.scenario.name} home`,
    stages: tellingWhatIsLeft(work, undoCommand(work), [
      ...beginning(work, 'standby'),
      [removeEarlierCopies(work)],
      ...scripts('before-restore'),
      [stopStandbyStep(work, vmId)],
      ...copyStages(work, disks, vmId, true),
      [awaitRestoreStep(work)],
      ...scripts('after-restore'),
      [commitFailbackStep(work)],
      ...scripts('before-redirect'),
      ...(redirected ? [[redirectBackStep(work, redirected)]] : []),
      ...scripts('after-redirect'),
      ...(work.inventory.fence ? [[releaseMasterStep(work)]] : []),
      [
        removeCopiesStep(work, {
          id: 'remove-copies',
          title: 'Remove the copies that were sent',
          own: disks,
        }),
      ],
      ...(removeStandby ? [[removeStandbyStep(work, vmId)]] : []),
      // Of the disks that are kept (H-14).
      ...(work.scenario.backup && !removeStandby ? [[requestBackupStep(work)]] : []),
      [declareFailedBackStep(work, { removed: removeStandby, hasStandby: true })],
    ]),
  };
}

/** A master without a standby, whose disks are lost: it gets its replica as it stands. */
export function failbackFromReplicaPlan(work: Work): Plan {
  const scripts = homeScripts(work, '--from-replica');
  return {
    kind: 'failback-from-replica',
    title: `Restore the master of ${work.scenario.name} from its replica`,
    stages: [
      ...beginning(work, 'replica'),
      ...scripts('before-restore'),
      [sealForRestoreStep(work)],
      [
        openRestoreStep(work, {
          final: true,
          lunsOf: async (_context, session) => {
            const own = (await session.disks()).filter((disk) => disk.scenarioId === work.scenario.id);
            return Object.fromEntries(own.map(({ diskId, lun }) => [diskId ?? '', lun]));
          },
        }),
      ],
      [awaitRestoreStep(work)],
      ...scripts('after-restore'),
      [commitFailbackStep(work)],
      ...scripts('before-redirect'),
      ...scripts('after-redirect'),
      [closeRestoreStep(work)],
      ...(work.inventory.fence ? [[releaseMasterStep(work)]] : []),
      [declareFailedBackStep(work, { removed: false, hasStandby: false })],
    ],
  };
}

/** A failback that was only prepared is given up. */
export function failbackCancelPlan(work: Work): Plan {
  return {
    kind: 'failback-cancel',
    title: `Give the failback of ${work.scenario.name} up`,
    stages: [[removeEarlierCopies(work)], [declareGivenUpStep(work)]],
  };
}

function beginning(work: Work, source: FailbackSource): Step[][] {
  return [[verifyFailbackStep(work, source)], [beginFailbackStep(work)]];
}

function homeScripts(work: Work, flag: string, vmId?: string) {
  return scriptStages(work, {
    event: 'FAILBACK',
    factsOf: () => homeScriptFacts(work, vmId),
    without: `standby failback ${work.scenario.name} ${flag} --no-scripts`,
  });
}

function removeEarlierCopies(work: Work): Step {
  return removeCopiesStep(work, {
    id: 'remove-earlier-copies',
    title: 'Remove what an earlier preparation left',
    own: [],
  });
}

function copyStages(work: Work, disks: readonly DiskPart[], vmId: string, final: boolean): Step[][] {
  return [
    disks.map((part) => snapshotStandbyDiskStep(work, part, vmId)),
    disks.map((part) => createCopyDiskStep(work, part)),
    [attachCopyDisksStep(work, disks)],
    [
      openRestoreStep(work, {
        final,
        lunsOf: async (context) => context.output<AttachedCopies>(ATTACH_COPY_DISKS).luns,
      }),
    ],
  ];
}

/**
 * Promises that of this scenario's complete backups only the newest stay, as many as it keeps. Deletes nothing but
 * snapshots that carry this scenario's tag and the role of a backup, and that the store knows as those of an older
 * complete backup. What is unfinished, damaged by hand, or of a run unknown here stays, and does not count. What is to
 * go is written down first, so a death between two deletions is repaired by a resume.
 */
import type { Step } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import type { BackupOptions } from '../backup.ts';
import { scenarioTag } from '../blueprint.ts';
import { CLOUD_RETRY } from '../durably.ts';
import type { Work } from '../work.ts';

export const REMOVE_OLD_BACKUPS = 'remove-old-backups';

export interface OldBackupsRemoved {
  readonly ids: readonly string[];
}

export function removeOldBackupsStep(work: Work, options: BackupOptions): Step<OldBackupsRemoved> {
  const { cloud } = work;
  const { keep } = options.settings;
  return {
    id: REMOVE_OLD_BACKUPS,
    title: `Keep the newest ${keep} ${keep === 1 ? 'backup' : 'backups'}`,
    actions: actionsOf('listTagged', 'disks.deleteSnapshot'),
    retry: CLOUD_RETRY,
    async run(context) {
      const tagged = await cloud.listTagged('standby-scenario', scenarioTag(work));
      const ours = tagged.filter(({ tags }) => tags['standby-role'] === 'backup');
      const there = new Set(ours.map((one) => one.id.toLowerCase()));
      const ids =
        (context.checkpoint as readonly string[] | undefined) ?? (await older(work, options, there));
      await context.save(ids);
      const wanted = new Set(ids.map((id) => id.toLowerCase()));
      for (const { id, name } of ours.filter((one) => wanted.has(one.id.toLowerCase()))) {
        context.progress(`Removing ${name}`);
        await cloud.disks.deleteSnapshot(id, scenarioTag(work), { signal: context.signal });
      }
      return { ids };
    },
  };
}

/** Snapshots of the whole backups beyond those that are kept; the new one is one of those. */
async function older(
  { runId }: Work,
  { settings, completeBackups }: BackupOptions,
  there: ReadonlySet<string>,
): Promise<readonly string[]> {
  const others = (await completeBackups()).filter((one) => one.runId !== runId);
  const whole = others.filter(({ snapshotIds }) => snapshotIds.every((id) => there.has(id.toLowerCase())));
  return whole.slice(settings.keep - 1).flatMap(({ snapshotIds }) => snapshotIds);
}

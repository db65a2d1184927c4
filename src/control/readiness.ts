import { openDevice } from '../block/open-device.ts';
import { patchedReadiness } from '../guest/sealed/patched-readiness.ts';
import type { Readiness } from '../model/readiness.ts';
import { type BookmarkReadiness, bootDiskOf, keptReadiness } from './bookmark-readiness.ts';
import { withAppliance } from './bookmarks.ts';
import type { Context } from './context.ts';
import { scenarioNamed } from './scenario-named.ts';

/** Looks at an image or a block device by itself: no scenario, no store, no home folder. It only reads the disk. */
export async function readinessOfDisk(
  disk: string,
  signal?: AbortSignal,
): Promise<Readiness & { readonly disk: string }> {
  const device = await openDevice(disk, { mode: 'read' });
  try {
    return { disk, ...(await patchedReadiness(device, signal ? { signal } : {})) };
  } finally {
    await device.close();
  }
}

/** Asks the appliance, which looks into the replica of the disk that the master starts from. */
export async function readinessOfScenario(
  context: Context,
  name: string,
): Promise<Readiness & { readonly scenario: string; readonly diskId: string }> {
  const scenario = await scenarioNamed(context, name);
  const diskId = await bootDiskOf(context, scenario);
  const found = await withAppliance(context, scenario, (session) => session.readiness(scenario.id, diskId));
  return { scenario: scenario.name, diskId, ...found };
}

/** As it was looked at when the bookmark was set; the replica stays where it is. */
export async function readinessOfBookmark(
  context: Context,
  name: string,
  bookmark: string,
): Promise<BookmarkReadiness & { readonly scenario: string }> {
  const scenario = await scenarioNamed(context, name);
  return { scenario: scenario.name, ...(await keptReadiness(context, scenario, bookmark)) };
}

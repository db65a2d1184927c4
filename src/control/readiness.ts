import { openDevice } from '../block/open-device.ts';
import { type Readiness, readReadiness } from '../guest/readiness/readiness.ts';

/** Looks at an image or a block device by itself: no scenario, no store, no home folder. It only reads the disk. */
export async function readinessOfDisk(
  disk: string,
  signal?: AbortSignal,
): Promise<Readiness & { readonly disk: string }> {
  const device = await openDevice(disk, { mode: 'read' });
  try {
    return { disk, ...(await readReadiness(device, signal ? { signal } : {})) };
  } finally {
    await device.close();
  }
}

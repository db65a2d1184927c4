import type { Clock } from '../clock.ts';

const POLL_MS = 2000;
const SETTLE_MS = 5 * 60_000;
const MOVING = new Set(['creating', 'updating', 'deleting']);

/**
 * Waits until Azure has finished with a resource that an interrupted process was making, because it refuses to
 * delete what it still builds. Gives what is there in the end; after five minutes whatever is there.
 */
export async function settled<Resource extends { readonly provisioning: string }>(
  clock: Clock,
  signal: AbortSignal,
  look: () => Promise<Resource | undefined>,
): Promise<Resource | undefined> {
  const untilMs = clock.now() + SETTLE_MS;
  for (;;) {
    const resource = await look();
    if (!resource || !MOVING.has(resource.provisioning.toLowerCase()) || clock.now() >= untilMs)
      return resource;
    await clock.sleep(POLL_MS, signal);
  }
}

import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import type { RecordedDisk } from './recorded-disk.ts';

const CHECKPOINT_MS = 30_000;

/** After a quiet time nothing is hot any more, and a crash costs nothing. Ends when `signal` is aborted. */
export async function keepCheckpoints(
  disks: readonly RecordedDisk[],
  { clock, log, signal }: { readonly clock: Clock; readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  for (;;) {
    await clock.sleep(CHECKPOINT_MS, signal).catch(() => undefined); // Closed.
    if (signal.aborted) return;
    for (const disk of disks.filter(({ map }) => map.hotCount > 0)) {
      await disk.checkpoint().catch((error: unknown) => {
        log.warn('the map could not be brought up to date', { disk: disk.id, error: messageOf(error) });
      });
    }
  }
}

import { isStandbyError, messageOf } from '../errors.ts';
import type { Context } from './context.ts';
import type { PeriodicJob } from './periodic-job.ts';
import { backupJob } from './serve-backup.ts';
import { drillJob } from './serve-drills.ts';
import { isAliveJob } from './serve-is-alive.ts';
import { lead } from './serve-lead.ts';
import { scrubJob } from './serve-scrub.ts';
import { verifyJob } from './serve-verify.ts';
import { type WatchLimits, watchJob } from './serve-watch.ts';

/**
 * `standby serve`: looks after all scenarios while nobody sits there. Promises: it looks, compares and writes events, and
 * never switches over, copies or stops anything; a backup that was asked for it goes on with, and drills it holds when they
 * are due and removes what they left. One leads for each store, the others wait; what it found is in the store, so the next leader tells nothing twice. Dies at any line: its lease runs out,
 * and the next one goes on.
 */
export interface ServeOptions {
  /** Every job once, then the end. */
  readonly once: boolean;
  readonly limits: WatchLimits;
}

/** With `once` a single look must do: the next one is another process's. */
function periodicJobs({ limits, once }: ServeOptions): readonly PeriodicJob[] {
  const looks = once ? 1 : undefined;
  return [watchJob(limits, looks), isAliveJob(looks), verifyJob, scrubJob(), backupJob, drillJob];
}

/** Until the host's signal is aborted, which is its ordinary end. */
export async function serve(context: Context, options: ServeOptions): Promise<void> {
  const { host } = context;
  const jobs = periodicJobs(options);
  const say = (text: string) => host.tell({ kind: 'text', level: 'info', text });
  try {
    do {
      const lease = await lead(context, host.signal, (why) =>
        say(`Another process watches already. ${why} This one waits, and takes over when that one ends.`),
      );
      try {
        say(`Watching all scenarios: ${jobs.map(({ name }) => name).join(', ')}.`);
        await watch({ ...context, host: under(context, lease.signal) }, jobs, options.once);
      } catch (error) {
        if (!lease.signal.aborted || host.signal.aborted) throw error;
        context.log.warn('this process does not lead any more', { why: messageOf(lease.signal.reason) });
      } finally {
        await lease.release();
      }
    } while (!options.once);
  } catch (error) {
    if (!host.signal.aborted) throw error;
  }
}

/** Jobs stop when the process is asked to end and when it leads no more. */
function under({ host }: Context, lease: AbortSignal): Context['host'] {
  return { ...host, interactive: false, signal: AbortSignal.any([host.signal, lease]) };
}

/** Ends with the first defect, and only when no job is under way any more. */
async function watch(context: Context, jobs: readonly PeriodicJob[], once: boolean): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([context.host.signal, stop.signal]);
  const inside = { ...context, host: { ...context.host, signal } };
  const ended = await Promise.allSettled(
    jobs.map((job) =>
      repeat(inside, job, once).catch((error: unknown) => {
        stop.abort(error);
        throw error;
      }),
    ),
  );
  const failed = ended.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
}

async function repeat(context: Context, job: PeriodicJob, once: boolean): Promise<void> {
  const { clock, host, log } = context;
  for (;;) {
    host.signal.throwIfAborted();
    try {
      await job.run(context);
    } catch (error) {
      host.signal.throwIfAborted();
      // The world is not as it should be: the next look may find it better. A defect is thrown on.
      if (!isStandbyError(error)) throw error;
      log.warn('a job of serve failed', { job: job.name, why: messageOf(error) });
    }
    if (once) return;
    await clock.sleep(job.everyMs, host.signal);
  }
}

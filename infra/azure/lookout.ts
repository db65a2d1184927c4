/**
 * Looks at what Azure is making, for everybody in this process who waits for something.
 *
 * Azure wants to be asked about an operation only every 10 or 30 s; the thing itself may be looked at meanwhile. Who waits
 * for something alone looks every half second, and then each 5 % of the time gone. Where several of a kind are being
 * made in one group, one list tells of all of them. All looks together come out of what Azure has left to give: when
 * that is short they wait, those first that have waited longest, and what must be read goes before them.
 *
 * It promises no answer: a look that fails, or is not allowed, is as if nobody had looked; the operation's own polls find the end.
 * It keeps nothing: dying at any line loses nothing.
 */
import type { Clock } from '../../src/clock.ts';
import { isStandbyError, messageOf } from '../../src/errors.ts';
import type { Log } from '../../src/log.ts';
import type { Calls } from './calls.ts';
import { makeBucket, type RequestBudget } from './request-budget.ts';

/** One thing, and how it is seen: alone, or among all of its kind in its group. */
export interface Sight<Resource extends { readonly name?: string }> {
  /** Its kind and group, as in `snapshots/standby-rg`: what one list tells of. */
  readonly place: string;
  readonly name: string;
  find(): Promise<Resource | undefined>;
  pages(): Promise<readonly (readonly Resource[])[]>;
}

interface Paged<Resource> {
  byPage(): AsyncIterable<readonly Resource[]>;
}

export function sightOf<Resource extends { readonly name?: string }>(
  calls: Pick<Calls, 'collect'>,
  kind: string,
  { resourceGroup, name }: { readonly resourceGroup: string; readonly name: string },
  find: (resourceGroup: string, name: string) => Promise<Resource | undefined>,
  list: () => Paged<Resource>,
): Sight<Resource> {
  const place = `${kind}/${resourceGroup.toLowerCase()}`;
  return {
    ...{ place, name, find: () => find(resourceGroup, name) },
    pages: () => calls.collect(`What is in ${place} could not be listed.`, () => list().byPage()),
  };
}

export interface Lookout {
  /** What `judge` makes of the thing as soon as that is something; undefined at `untilMs`. */
  watch<Resource extends { readonly name?: string }, Seen extends object | string>(
    sight: Sight<Resource>,
    judge: (resource: Resource | undefined) => Seen | undefined,
    times: { readonly sinceMs: number; readonly untilMs: number },
    signal?: AbortSignal,
  ): Promise<Seen | undefined>;
}

const LOOK_MS = 500;
const LOOK_SHARE = 0.05;
/** When looks are short, it is seen so soon whether there are more. */
const SHORT_MS = 250;
/** So many of a kind make a list worth while. */
const LIST_FROM = 3;
/** Of the 250 reads that a principal has: looks are for the quick end alone, and leave the rest to what must be read. */
const READS_TO_SPARE = 100;
/** Azure gives 240 lists of disks, snapshots and VMs in three minutes (`HighCostGet3Min`): at most 195 are ours. */
const LISTS = { size: 60, perSecond: 0.75 } as const;

interface Watcher {
  readonly place: string;
  readonly name: string;
  readonly sinceMs: number;
  readonly untilMs: number;
  dueMs: number;
  seenMs: number;
  isLooking: boolean;
  find(): Promise<unknown>;
  pages(): Promise<readonly (readonly { readonly name?: string }[])[]>;
  /** Is told what was seen; ends when that is enough. */
  tell(resource: unknown): void;
  /** Its time is over. */
  end(): void;
  fail(error: unknown): void;
}

export function makeLookout(parts: {
  readonly clock: Clock;
  readonly log: Log;
  readonly reads: RequestBudget;
}): Lookout {
  const { clock, log, reads } = parts;
  const watchers = new Set<Watcher>();
  const lists = makeBucket(LISTS, clock);
  /** How many pages the last list of a place had; none when it could not be had. */
  const pagesOf = new Map<string, number>();
  let isGoing = false;
  let sleep = new AbortController();

  let underWay = 0;
  // What was begun a moment ago may not have been counted yet.
  const isSpare = () => reads.left() - underWay >= READS_TO_SPARE;

  async function goRound(): Promise<void> {
    isGoing = true;
    while (watchers.size > 0) {
      sleep = new AbortController();
      const waitMs = nextMs() - clock.now();
      if (waitMs > 0) await clock.sleep(waitMs, sleep.signal).catch(whenWoken);
      const now = clock.now();
      for (const watcher of watchers) if (watcher.untilMs <= now) watcher.end();
      lookAtThoseDue(now);
    }
    isGoing = false;
  }

  function whenWoken(error: unknown): void {
    if (!sleep.signal.aborted) throw error;
  }

  function nextMs(): number {
    const shortMs = isSpare() ? 0 : clock.now() + SHORT_MS;
    const moments = [...watchers].map(({ dueMs, untilMs, isLooking }) =>
      isLooking ? untilMs : Math.min(untilMs, Math.max(dueMs, shortMs)),
    );
    return Math.min(...moments);
  }

  function lookAtThoseDue(now: number): void {
    const due = [...watchers].filter((one) => one.dueMs <= now && !one.isLooking);
    due.sort((one, other) => one.seenMs - other.seenMs);
    for (const watcher of due) {
      if (!isSpare()) return;
      if (watcher.isLooking) continue;
      const together = [...watchers].filter((one) => one.place === watcher.place && !one.isLooking);
      const pages = pagesOf.get(watcher.place) ?? 1;
      const isList = pages > 0 && together.length >= LIST_FROM * pages && lists.left() >= pages;
      void (isList ? list(watcher, together) : look(watcher));
    }
  }

  async function look(watcher: Watcher): Promise<void> {
    await during([watcher], async () => watcher.tell(await watcher.find()));
  }

  async function list(watcher: Watcher, together: readonly Watcher[]): Promise<void> {
    const { place } = watcher;
    lists.take(pagesOf.get(place) ?? 1);
    pagesOf.set(place, 0);
    await during(together, async () => {
      const pages = await watcher.pages();
      const all = new Map(pages.flat().map((each) => [(each.name ?? '').toLowerCase(), each]));
      pagesOf.set(place, Math.max(1, pages.length));
      for (const one of together) one.tell(all.get(one.name.toLowerCase()));
    });
  }

  async function during(looking: readonly Watcher[], work: () => Promise<void>): Promise<void> {
    for (const one of looking) one.isLooking = true;
    underWay += 1;
    try {
      await work();
    } catch (error) {
      if (!isStandbyError(error)) for (const one of looking) one.fail(error);
      // The poll will say what is wrong, if it lasts.
      log.debug('what is being made could not be looked at', {
        place: looking[0]?.place,
        why: messageOf(error),
      });
    } finally {
      underWay -= 1;
      const now = clock.now();
      for (const one of looking) {
        one.isLooking = false;
        one.seenMs = now;
        one.dueMs = now + pauseMs(one.sinceMs, now);
      }
      sleep.abort();
    }
  }

  function attend(watcher: Watcher): void {
    watchers.add(watcher);
    // It may be due before what is slept for.
    sleep.abort();
    if (!isGoing) void goRound();
  }

  return {
    watch(sight, judge, { sinceMs, untilMs }, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const leave = () => {
          watchers.delete(watcher);
          if (![...watchers].some((one) => one.place === place)) pagesOf.delete(place);
          signal?.removeEventListener('abort', onAbort);
          sleep.abort();
        };
        const onAbort = () => watcher.fail(signal?.reason);
        const now = clock.now();
        const { place, name } = sight;
        const watcher: Watcher = {
          ...{ place, name, sinceMs, untilMs, seenMs: now, dueMs: now + pauseMs(sinceMs, now) },
          isLooking: false,
          find: () => sight.find(),
          pages: () => sight.pages(),
          tell(resource) {
            const seen = judge(resource as Parameters<typeof judge>[0]);
            if (seen === undefined) return;
            leave();
            resolve(seen);
          },
          end() {
            leave();
            resolve(undefined);
          },
          fail(error) {
            leave();
            reject(error);
          },
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        attend(watcher);
      });
    },
  };
}

const pauseMs = (sinceMs: number, now: number) => Math.max(LOOK_MS, (now - sinceMs) * LOOK_SHARE);

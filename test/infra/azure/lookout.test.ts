import { describe, expect, it } from 'vitest';
import { type Lookout, makeLookout, type Sight } from '../../../infra/azure/lookout.ts';
import { StandbyError } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import { madeUpClock } from './made-up-clock.ts';

interface Thing {
  readonly name: string;
  readonly ready: boolean;
}

/** Things that are ready at a time, in groups, and how often each way of asking was used. */
function world(
  options: { readonly left?: () => number; readonly listable?: boolean; readonly pages?: number } = {},
) {
  const clock = madeUpClock();
  const asked = { lists: [] as number[], finds: [] as { readonly name: string; readonly atMs: number }[] };
  const readyMs = new Map<string, number>();
  const thingOf = (name: string): Thing => ({ name, ready: clock.now() >= (readyMs.get(name) ?? 0) });
  const reads = { turn: async () => undefined, answered: () => undefined, left: options.left ?? (() => 250) };
  const lookout = makeLookout({ clock, log: silentLog, reads });
  const sight = (name: string, place = 'disks/one'): Sight<Thing> => ({
    ...{ place, name },
    async find() {
      asked.finds.push({ name, atMs: clock.now() });
      return thingOf(name);
    },
    async pages() {
      asked.lists.push(clock.now());
      if (options.listable === false) throw new StandbyError({ code: 'AuthorizationFailed', what: 'No.' });
      const all = [...readyMs.keys()].map((each) => thingOf(each.toUpperCase().toLowerCase()));
      return [all, ...Array.from({ length: (options.pages ?? 1) - 1 }, () => [])];
    },
  });
  const watch = async (name: string, atMs: number, times: { place?: string; untilMs?: number } = {}) => {
    readyMs.set(name, atMs);
    const { place, untilMs = 60_000 } = times;
    const seen = await watchOne(lookout, sight(name, place), untilMs);
    return { name, seen: seen?.name, lateMs: clock.now() - atMs };
  };
  return { clock, asked, watch, sight, lookout };
}

const watchOne = (lookout: Lookout, sight: Sight<Thing>, untilMs: number, signal?: AbortSignal) =>
  lookout.watch(sight, (thing) => (thing?.ready ? thing : undefined), { sinceMs: 0, untilMs }, signal);

describe('The lookout', () => {
  it('sees one thing late by 5 % of the time it took at most, and is no tight loop', async () => {
    const { asked, watch } = world();
    expect(await watch('vm', 17_000)).toMatchObject({ seen: 'vm' });
    const last = asked.finds.at(-1)?.atMs ?? 0;
    expect(last - 17_000).toBeLessThanOrEqual(17_000 * 0.05);
    // Azure gives 35 such reads of a VM a minute.
    expect(asked.finds.length).toBeLessThan(35);
    expect(asked.lists).toEqual([]);
  });

  it('asks once for forty of a kind in one group, and sees each as soon as one alone', async () => {
    const { asked, watch } = world();
    const disks = Array.from({ length: 40 }, (_, index) => watch(`disk${index}`, 9000 + index * 20));
    const seen = await Promise.all(disks);
    expect(Math.max(...seen.map((one) => one.lateMs))).toBeLessThanOrEqual(600);
    expect(asked.finds.length).toBeLessThan(5);
    expect(asked.lists.length).toBeLessThan(25);
  });

  it('looks at each alone where a list is refused, or has more pages than it is worth', async () => {
    for (const options of [{ listable: false }, { pages: 2 }]) {
      const { asked, watch } = world(options);
      const three = await Promise.all(['a', 'b', 'c'].map((name) => watch(name, 5000)));
      expect(three.map((one) => one.seen)).toEqual(['a', 'b', 'c']);
      expect(asked.lists).toHaveLength(1);
      expect(asked.finds.length).toBeGreaterThan(20);
    }
  });

  it('asks for no more lists than Azure gives, and then goes on one by one', async () => {
    const { asked, watch } = world();
    const groups = Array.from({ length: 30 }, (_, index) => `disks/${index}`);
    const all = groups.flatMap((place) =>
      ['a', 'b', 'c'].map((name) => watch(`${name} in ${place}`, 15_000, { place })),
    );
    await Promise.all(all);
    expect(asked.lists.length).toBeLessThanOrEqual(60 + 16 * 0.75);
    expect(asked.finds.length).toBeGreaterThan(0);
  });

  it('leaves alone what must be read: nobody looks while few reads are left, and the rest goes round', async () => {
    let left = 99;
    const { clock, asked, watch } = world({ left: () => left });
    const things = [watch('x', 1000, { place: 'disks/x' }), watch('y', 1000, { place: 'disks/y' })];
    await clock.sleep(3000);
    expect(asked.finds).toEqual([]);
    left = 100;
    expect((await Promise.all(things)).map((one) => one.lateMs)).toEqual([2000, 2000]);
  });

  it('lets those who waited longest look first when there is enough for one at a time', async () => {
    // One more read is there each second, and who looks takes it.
    const { clock, asked, watch } = world({
      left: () => 99 + Math.floor(clock.now() / 1000) - asked.finds.length,
    });
    const things = ['a', 'b', 'c', 'd'].map((name) =>
      watch(name, 60_000, { place: `disks/${name}`, untilMs: 9000 }),
    );
    await Promise.all(things);
    expect(asked.finds.map((one) => one.name).join('')).toBe('abcdabcd');
  });

  it('ends when its time is over or it is told to stop, and keeps nobody awake then', async () => {
    const { clock, watch, sight, lookout } = world();
    expect(await watch('slow', 99_000, { untilMs: 10_000 })).toMatchObject({
      seen: undefined,
      lateMs: -89_000,
    });
    const stop = new AbortController();
    const stopped = watchOne(lookout, sight('slow'), 90_000, stop.signal);
    await clock.sleep(100);
    stop.abort(new Error('Ctrl-C'));
    await expect(stopped).rejects.toThrow('Ctrl-C');
    expect(clock.now()).toBeLessThan(11_000);
    await expect(watchOne(lookout, sight('slow'), 90_000, stop.signal)).rejects.toThrow('Ctrl-C');
  });

  it('passes on an error that is nobody else to blame for', async () => {
    const { lookout, sight } = world();
    const broken = { ...sight('vm'), find: () => Promise.reject(new TypeError('a defect')) };
    await expect(watchOne(lookout, broken, 60_000)).rejects.toThrow('a defect');
  });
});

import { describe, expect, it } from 'vitest';
import { makeAtMost } from '../../src/control/group/at-most.ts';
import { sharingChecks, sharingReads } from '../../src/control/group/shared-reads.ts';
import { allSwitchedOver, membersText, onStandbys } from '../../src/control/group/words.ts';
import { rightCloud } from '../fakes/scene.ts';

describe('Reads that members of a group share', () => {
  it('are asked once for all within ten seconds, never kept when they failed, and only those of the region', async () => {
    const { cloud } = rightCloud();
    let nowMs = 0;
    const asked: string[] = [];
    const counting = {
      ...cloud,
      catalogue: {
        ...cloud.catalogue,
        async usages(location: string) {
          asked.push(location);
          if (asked.length === 1) throw new Error('throttled');
          return cloud.catalogue.usages(location);
        },
      },
      groups: {
        ...cloud.groups,
        async get(name: string) {
          asked.push(`group ${name}`);
          return cloud.groups.get(name);
        },
      },
    };
    const clock = { now: () => nowMs, sleep: async () => undefined };
    const shared = sharingReads(counting, clock);
    await expect(shared.catalogue.usages('japaneast')).rejects.toThrow('throttled');
    const [one, other] = await Promise.all([1, 2].map(() => shared.catalogue.usages('japaneast')));
    expect(one).toBe(other);
    await shared.catalogue.usages('westus2');
    expect(asked).toEqual(['japaneast', 'japaneast', 'westus2']);
    nowMs = 10_000;
    await shared.catalogue.usages('japaneast');
    await shared.groups.get('recovery');
    await shared.groups.get('recovery');
    expect(asked.slice(3)).toEqual(['japaneast', 'group recovery', 'group recovery']);
  });
});

describe('Reads that checks of members share', () => {
  it('are those of what members have in common, and the cloud that steps work with is left as it is', async () => {
    const { cloud } = rightCloud();
    const asked: string[] = [];
    const counting = {
      ...cloud,
      groups: {
        ...cloud.groups,
        async get(name: string) {
          asked.push(name);
          return cloud.groups.get(name);
        },
      },
    };
    const checks = sharingChecks(counting, { now: () => 0, sleep: async () => undefined });
    await Promise.all([checks.groups.get('recovery'), checks.groups.get('recovery')]);
    expect(asked).toEqual(['recovery']);
    await counting.groups.get('recovery');
    expect(asked).toHaveLength(2);
  });
});

describe('Sentences about members', () => {
  it('are right for one and for many', () => {
    expect([membersText(1), membersText(2)]).toEqual(['1 member', '2 members']);
    expect(allSwitchedOver('shop', 1)).toBe('The one member of group shop has switched over.');
    expect(allSwitchedOver('shop', 3)).toBe('All 3 members of group shop have switched over.');
    expect(onStandbys(0, 1)).toBe('its one member is not on its standby');
    expect(onStandbys(1, 3)).toBe('1 of 3 members is on its standby');
    expect(onStandbys(0, 3)).toBe('0 of 3 members are on their standbys');
  });
});

describe('Work of which so much may go on at once', () => {
  it('goes on in the order of coming, and a failure gives its place to the next', async () => {
    const atMost = makeAtMost(2);
    const began: number[] = [];
    let under = 0;
    const work = (number: number) => async () => {
      began.push(number);
      under += 1;
      expect(under).toBeLessThanOrEqual(2);
      await new Promise((resolve) => setImmediate(resolve));
      under -= 1;
      if (number === 1) throw new Error('failed');
      return number;
    };
    const ended = await Promise.allSettled([1, 2, 3, 4, 5].map((number) => atMost(work(number))));
    expect(ended.map((one) => one.status)).toEqual([
      'rejected',
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'fulfilled',
    ]);
    expect(began).toEqual([1, 2, 3, 4, 5]);
  });
});

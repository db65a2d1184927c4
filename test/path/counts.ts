import type { MachineFaults } from '../journal/faulty-disk.ts';
import type { LinkFaults } from './link.ts';
import type { PathMaster } from './master.ts';

/** What a story itself did. */
export function newHappened() {
  return { rewinds: 0, sets: 0, bookmarks: 0, masterCrashes: 0, masterClock: 0, applianceClock: 0 };
}

/** Everything that happened in one story, by kind, so that a kind that never occurs is seen. */
export function countAll(
  happened: ReturnType<typeof newHappened>,
  there: MachineFaults,
  here: PathMaster['faults'],
  link: LinkFaults,
): Record<string, number> {
  return {
    'appliance stopped at some await': there.stops,
    'appliance lost power': there.powerCuts,
    'appliance: torn sectors': there.torn,
    'appliance: unsynced writes lost': there.lost,
    'appliance: reordered between syncs': there.reordered,
    'appliance: short reads': there.shortReads,
    'appliance: no space': there.noSpace,
    'appliance: failed writes': there.failedWrites,
    'appliance: turned bits': there.flippedBits,
    'appliance: clock steps': happened.applianceClock,
    'master crashed at some await': happened.masterCrashes,
    'master: torn writes': here.torn,
    'master: unsynced writes lost': here.lost,
    'master: reordered between syncs': here.reordered,
    'master: turned bits': here.flippedBits,
    'master: clock steps': happened.masterClock,
    'link: dropped': link.dropped,
    'link: duplicated': link.duplicated,
    'link: turned bits': link.flippedBits,
    'link: delayed': link.delayed,
    'link: very late': link.veryLate,
    'link: cut': link.cut,
    sets: happened.sets,
    bookmarks: happened.bookmarks,
    rewinds: happened.rewinds,
  };
}

import { appendFileSync } from 'node:fs';
import { NO_GUEST_LINE } from '../../../src/ports/cloud-machines.ts';
import type { Guest, GuestPlace } from './guest.ts';

/** A VM from a plain marketplace image: its disk is empty here, so nothing boots, and it says so. */
export function makeImageGuest(place: GuestPlace): Guest {
  return {
    status: () => 'simulated',
    async start() {
      appendFileSync(
        place.serialFile,
        `${NO_GUEST_LINE}images of the marketplace have no content in Local Azure\n`,
      );
    },
    async stop() {},
    async disksChanged() {},
    async freeze() {},
    async thaw() {},
    listening: async () => [],
    tookEnd: () => undefined,
  };
}

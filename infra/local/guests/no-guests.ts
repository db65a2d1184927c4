import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { NO_GUEST_LINE } from '../../../src/ports/cloud-machines.ts';
import { textAt } from '../arm/json.ts';
import type { GuestHost, GuestHostFacts } from './guest-host.ts';
import { guestFolder } from './places.ts';

/**
 * `--guests none`: no process at all. A VM's power state is what was asked for, and both the instance view and the
 * serial log say that the boot was skipped; nothing ever claims that something booted.
 */
export function makeNoGuests(facts: GuestHostFacts): GuestHost {
  const folderOf = (vmId: string) => {
    const guid = textAt(facts.graph.get(vmId)?.properties, 'vmId');
    return guid === undefined ? undefined : guestFolder(guid);
  };
  return {
    kind: 'none',
    async resume() {},
    async start(vmId) {
      const folder = folderOf(vmId);
      if (folder === undefined) return;
      await mkdir(join(facts.dataFolder, folder), { recursive: true });
      await appendFile(
        join(facts.dataFolder, folder, 'serial.log'),
        `${NO_GUEST_LINE}guests are off (--guests none)\n`,
      );
    },
    async stop() {},
    status: () => 'simulated',
    serialLogFile: (vmId) => {
      const folder = folderOf(vmId);
      return folder === undefined ? undefined : `${folder}/serial.log`;
    },
    async takePicture() {},
    async disksChanged() {},
    async networkChanged() {},
    whileFrozen: (_vmId, work) => work(),
    forwards: () => [],
    async forget() {},
    async stopAll() {},
  };
}

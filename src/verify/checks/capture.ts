import { isLiveCapture } from '../../model/capture.ts';
import { isWindowsDevice, type MasterInventory } from '../../model/disk.ts';
import type { Check, CheckFacts, Finding } from '../check.ts';
import { doubtful, error, ok, skipped, unseen, warning, wrong } from '../check.ts';

/** The master can be captured as the scenario says: what `nbd` needs is served, `tracked` has whole disks of Linux. */
export const capture: Check = {
  id: 'capture',
  title: 'Capture',
  group: 'Replication',
  uses: [],
  codes: {
    CAPTURE_UNKNOWN: unseen('The master is not known here.', 'See the finding about the master.'),
    NBD_NOT_SERVED: error(
      'The scenario wants each write as it happens, but the master’s engine does not serve every disk over NBD.',
      'Start it so: standby engine master --nbd SOCKET; or choose another capture method.',
    ),
    AT_REST_UNFIT: error(
      'Nothing tells whether the disks of a Windows that runs stand still.',
      'Choose capture compare; or shut the server down and let its disks, or their images, join from a Linux machine.',
    ),
    TRACKED_UNFIT: warning(
      'What was written is noted by the kernel of a Linux master, for whole block devices only.',
      'Choose capture compare.',
    ),
  },
  moments: ['create', 'run'],
  async run(facts): Promise<readonly Finding[]> {
    const { scenario } = facts;
    const inventory = await newestInventory(facts);
    if (!inventory) return [skipped('CAPTURE_UNKNOWN', 'the master is not known')];
    if (scenario.capture === 'nbd') return [nbdFinding(inventory)];
    if (scenario.capture === 'tracked') return [trackedFinding(inventory)];
    if (scenario.capture === 'at-rest' && inventory.disks.some(({ path }) => isWindowsDevice(path))) {
      const found = `"${inventory.hostName}" joined with the disks it runs from.`;
      const next = 'Choose capture compare: standby scenario edit';
      return [wrong('AT_REST_UNFIT', found, 'disks that stand still', next)];
    }
    const live = isLiveCapture(scenario.capture);
    return [
      ok(
        'CAPTURE_FITS',
        live ? `${scenario.capture}, live` : 'at rest: changes after the copy do not follow',
      ),
    ];
  },
};

/** Whether disks are served is known to the engine alone, so it is asked when that is possible. */
async function newestInventory({ session, scenario, inventory }: CheckFacts) {
  if (!session || !isLiveCapture(scenario.capture)) return inventory;
  const told = (await session.masters()).find((one) => one.masterId === scenario.masterId)?.inventory;
  return told && (!inventory || told.takenAtMs >= inventory.takenAtMs) ? told : inventory;
}

function nbdFinding({ disks, nbd, hostName }: MasterInventory): Finding {
  const without = disks.filter((disk) => !nbd?.some((one) => one.diskId === disk.id)).map((disk) => disk.id);
  if (without.length === 0)
    return ok('CAPTURE_FITS', `nbd, live: ${disks.length} disks are served by its engine`);
  return wrong(
    'NBD_NOT_SERVED',
    `The engine of "${hostName}" does not serve ${without.join(', ')} over NBD.`,
    'every disk served, and used by the server through that',
    'On the master: standby engine master --nbd SOCKET, and let the guest use its disks there. Or choose another way: standby scenario edit, capture compare.',
  );
}

function trackedFinding({ disks, os }: MasterInventory): Finding {
  const files = disks.filter((disk) => !disk.path.startsWith('/dev/')).map((disk) => disk.id);
  if (os.family === 'linux' && files.length === 0) {
    return ok('CAPTURE_FITS', 'tracked, live; the engine must run as root, and says so if it may not');
  }
  const found =
    os.family === 'linux' ? `${files.join(', ')} is not a block device.` : `The master runs ${os.name}.`;
  return doubtful(
    'TRACKED_UNFIT',
    found,
    'whole block devices on Linux',
    'Choose capture compare: standby scenario edit',
  );
}

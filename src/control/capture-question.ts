import type { CaptureName } from '../model/capture.ts';
import { isWindowsDevice, type MasterInventory } from '../model/disk.ts';
import type { Choice } from '../model/question.ts';
import type { Scenario } from '../model/scenario.ts';
import type { ScenarioLookups } from './scenario-lookups.ts';
import type { Screen } from './screen.ts';

/** How the master's changes are captured: only what this master can do may be chosen. */
export function captureScreen(look: ScenarioLookups): Screen {
  return {
    name: 'capture',
    needs: ['purpose', 'master'],
    async question(answers) {
      const inventory = await look.inventoryNow(answers);
      return {
        name: 'capture',
        kind: 'select',
        message: 'How its changes are captured',
        default: proposedCapture(inventory, answers.purpose as Scenario['purpose']),
        choices: captureChoices(inventory),
      };
    },
  };
}

const LABELS: Readonly<Record<CaptureName, string>> = {
  nbd: 'nbd: each write as it happens, in order (QEMU/KVM guests; Linux hosts with nbd-client)',
  tracked: 'tracked: live; what was written since the last round (whole disks of Linux, as root)',
  compare: 'compare: live; round after round, the whole disk is read for what differs',
  'at-rest': 'at-rest: one copy of a server that is shut down; later changes do not follow',
};

/** The best live method first. */
const CAPTURES_BY_WORTH = ['nbd', 'tracked', 'compare', 'at-rest'] as const satisfies readonly CaptureName[];

function captureChoices(inventory: MasterInventory): readonly Choice[] {
  return CAPTURES_BY_WORTH.map((value) => {
    const disabled = whyNot(value, inventory);
    return { value, label: LABELS[value], ...(disabled === undefined ? {} : { disabled }) };
  });
}

/** Moving once needs a copy; being protected needs the best that follows. */
function proposedCapture(inventory: MasterInventory, purpose: Scenario['purpose']): CaptureName {
  if (purpose === 'migration' && whyNot('at-rest', inventory) === undefined) return 'at-rest';
  if (whyNot('nbd', inventory) === undefined) return 'nbd';
  return inventory.os.family === 'linux' && inventory.disks.every(({ path }) => WHOLE_DISK.test(path))
    ? 'tracked'
    : 'compare';
}

/** Device names of which it is certain that they are whole disks whose writes the kernel tells. */
const WHOLE_DISK = /^\/dev\/(sd[a-z]+|vd[a-z]+|xvd[a-z]+|nvme\d+n\d+)$/;

function whyNot(name: CaptureName, { disks, nbd, os }: MasterInventory): string | undefined {
  if (name === 'nbd') {
    const without = disks
      .filter((disk) => !nbd?.some((one) => one.diskId === disk.id))
      .map((disk) => disk.id);
    return without.length === 0 ? undefined : `its engine does not serve ${without.join(', ')} over NBD`;
  }
  if (name === 'at-rest' && disks.some(({ path }) => isWindowsDevice(path))) {
    return 'nothing tells whether the disks of a Windows that runs stand still';
  }
  if (name !== 'tracked') return undefined;
  const files = disks.filter((disk) => !disk.path.startsWith('/dev/')).map((disk) => disk.id);
  if (os.family !== 'linux') return 'it is for Linux';
  return files.length === 0 ? undefined : `${files.join(', ')} is not a block device`;
}

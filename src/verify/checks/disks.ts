import type { Firmware, MasterDisk, MasterInventory } from '../../model/disk.ts';
import { GIB, growsUnderGpt, replicaSizeGib } from '../../model/disk.ts';
import type { Check, Finding } from '../check.ts';
import { doubtful, error, ok, skipped, unseen, warning, wrong } from '../check.ts';

const OS_DISK_GIB_MAX = 4095;
const DATA_DISK_GIB_MAX = 32_767;
/** MBR reaches 2 TiB; failures are reported above 2,040 GiB. */
const GENERATION_1_GIB_MAX = 2040;

/** Each disk of the master can be an Azure disk. */
export const disks: Check = {
  id: 'disks',
  title: 'Disks',
  group: 'Master',
  uses: [],
  codes: {
    DISKS_UNKNOWN: unseen('The master is not known here.', 'See the finding about the master.'),
    NO_BOOT_DISK: error(
      'No disk of the master holds boot files.',
      'Let the master join again, its system disk first.',
    ),
    DISK_SIZE_ODD: error(
      'The size is not a whole number of 512-byte sectors.',
      'Check the path: this is not a whole disk.',
    ),
    DISK_SECTOR_SIZE: error(
      'Azure shows 512-byte sectors; partitions of a 4096-byte disk would not be found.',
      'Leave the disk out, or move its data.',
    ),
    DISK_TOO_LARGE: error(
      'Azure has no disk of that size (OS 4,095 GiB, data 32,767 GiB).',
      'Make the disk smaller on the master.',
    ),
    DISK_LARGE_FOR_GENERATION_1: warning(
      'A generation 1 VM uses 2 TiB of its OS disk.',
      'Make the disk smaller, or accept that the rest cannot be used.',
    ),
  },
  async run({ inventory }): Promise<readonly Finding[]> {
    if (!inventory) return [skipped('DISKS_UNKNOWN', 'the master is not known')];
    const findings = [
      ...bootDisk(inventory),
      ...inventory.disks.flatMap((disk) => judge(disk, inventory.firmware)),
    ];
    if (findings.length > 0) return findings;
    const sizes = inventory.disks.map((disk) => `${disk.id} ${gib(disk)} GiB`);
    return [ok('DISKS_OK', sizes.join(', ')), ...inventory.disks.flatMap(gptNote)];
  },
};

function bootDisk({ disks: all, hostName }: MasterInventory): Finding[] {
  if (all.some((disk) => disk.boot)) return [];
  const found = `None of the disks of "${hostName}" holds boot files.`;
  return [
    wrong('NO_BOOT_DISK', found, 'one boot disk', 'Let the master join again with its system disk first.'),
  ];
}

/** It boots and works: firmware and kernels use the first table. Tools complain, so people are told. */
function gptNote(disk: MasterDisk): Finding[] {
  if (!growsUnderGpt(disk)) return [];
  const found = `${disk.id} (GPT, ${disk.sizeBytes} bytes) becomes ${replicaSizeGib(disk.sizeBytes)} GiB, so GPT's backup header is not at its end on the standby; it boots all the same`;
  return [ok('GPT_BACKUP_NOT_AT_END', found)];
}

function judge(disk: MasterDisk, firmware: Firmware): Finding[] {
  const name = `${disk.id} (${disk.path})`;
  const findings: Finding[] = [];
  if (disk.sizeBytes <= 0 || disk.sizeBytes % 512 !== 0) {
    const found = `${name} has ${disk.sizeBytes} bytes, which is not a whole number of 512-byte sectors.`;
    const next = 'Check the path: this is not a whole disk.';
    findings.push(wrong('DISK_SIZE_ODD', found, 'a multiple of 512', next));
  }
  if (disk.logicalSectorBytes !== 512) {
    const found = `${name} has sectors of ${disk.logicalSectorBytes} bytes; an Azure disk shows 512, so its partitions would not be found.`;
    const next = 'Leave this disk out, or move its data to a 512-byte disk.';
    findings.push(wrong('DISK_SECTOR_SIZE', found, '512', next));
  }
  const most = disk.boot ? OS_DISK_GIB_MAX : DATA_DISK_GIB_MAX;
  if (disk.sizeBytes > most * GIB) {
    const kind = disk.boot ? 'an OS disk' : 'a data disk';
    const found = `${name} has ${gib(disk)} GiB; ${kind} in Azure has ${most} GiB at most.`;
    const next = 'Make the disk smaller on the master.';
    findings.push(wrong('DISK_TOO_LARGE', found, `at most ${most} GiB`, next));
  } else if (disk.boot && firmware === 'bios' && disk.sizeBytes > GENERATION_1_GIB_MAX * GIB) {
    const found = `${name} has ${gib(disk)} GiB; a generation 1 VM uses 2 TiB of its OS disk at most.`;
    const next = 'Make the disk smaller, or accept that the rest cannot be used.';
    findings.push(
      doubtful('DISK_LARGE_FOR_GENERATION_1', found, `at most ${GENERATION_1_GIB_MAX} GiB`, next),
    );
  }
  return findings;
}

function gib(disk: MasterDisk): number {
  return Math.round((disk.sizeBytes / GIB) * 10) / 10;
}

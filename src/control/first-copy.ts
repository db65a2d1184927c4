import { hostname } from 'node:os';
import { isLiveCapture } from '../model/capture.ts';
import { GIB, type MasterInventory, MIB } from '../model/disk.ts';
import type { Scenario } from '../model/scenario.ts';
import type { Notice } from '../ports/host.ts';

/** Rates between which a line to Azure usually lies; the copy's own rate is shown as soon as there is one. */
const SLOW_MIB = 10;
const FAST_MIB = 100;

/** What a person should know before the first copy begins (G-66), and that control should not stand on the master (G-08). */
export function firstCopyNotices(
  scenario: Scenario,
  inventory: MasterInventory,
  here: string = hostname(),
): readonly Notice[] {
  const { disks, hostName } = inventory;
  const totalBytes = disks.reduce((sum, disk) => sum + disk.sizeBytes, 0);
  const travelsBytes = disks.reduce((sum, disk) => sum + usedBytes(disk, scenario.excludedVolumeIds), 0);
  const count = `${disks.length} disk${disks.length === 1 ? '' : 's'}`;
  const notices = [
    `The first copy of "${scenario.name}" takes the whole server: ${count}, ${gib(totalBytes)} GiB, of which about ` +
      `${gib(travelsBytes)} GiB hold data and travel. That takes about ${time(travelsBytes, FAST_MIB)} at ${FAST_MIB} MiB/s and ` +
      `${time(travelsBytes, SLOW_MIB)} at ${SLOW_MIB} MiB/s, then both ends read every disk once more. It loads the line and the ` +
      'disks: begin outside working hours. ' +
      (isLiveCapture(scenario.capture)
        ? 'The server goes on working; what it changes meanwhile follows.'
        : 'The server stays shut down until the scenario is synchronised.'),
  ];
  if (hostName.toLowerCase() === here.toLowerCase()) {
    notices.push(
      `This machine has the host name of the master "${hostName}". Control should run elsewhere: when the master is lost, ` +
        'the switchover must still be possible.',
    );
  }
  return notices.map((text) => ({ kind: 'text', level: 'warning', text }));
}

/** Where no file system tells, everything may be data. */
function usedBytes(disk: MasterInventory['disks'][number], excluded: readonly string[]): number {
  return disk.volumes.reduce((sum, volume) => {
    const spared = excluded.includes(volume.id)
      ? volume.sizeBytes
      : volume.sizeBytes - (volume.usedBytes ?? volume.sizeBytes);
    return sum - spared;
  }, disk.sizeBytes);
}

function gib(bytes: number): string {
  return (bytes / GIB).toFixed(1);
}

function time(bytes: number, mibPerSecond: number): string {
  const minutes = Math.ceil(bytes / MIB / mibPerSecond / 60);
  if (minutes < 120) return `${minutes} minute${minutes === 1 ? '' : 's'}`;
  return `${Math.ceil(minutes / 60)} hours`;
}

import { isStandbyError, messageOf } from '../../errors.ts';
import type { Readiness } from '../../model/readiness.ts';
import type { SealedChange } from '../../model/sealed-patch.ts';
import type { BlockDevice } from '../../ports/block-device.ts';
import { type TreeFile, unreadable } from '../file-tree.ts';
import { type GuestVolume, readGuestDisk } from '../guest-disk.ts';
import { type BytePatch, changesInPlace } from '../hive-change.ts';
import { limitedDevice, type WorkLimit } from '../limited-device.ts';
import { patchedDevice } from '../patched-device.ts';
import { readBootChain } from '../readiness/boot-chain.ts';
import { readReadiness } from '../readiness/readiness.ts';
import { CONFIG, findWindows, type WindowsSystem } from '../readiness/windows.ts';
import { controlSetsOf, currentSetOf, loadHive } from '../readiness/windows-hive.ts';
import { gptBackup } from './gpt-backup.ts';
import { registryCures } from './registry-cures.ts';

/**
 * The few bytes that a sealed copy needs otherwise than its master has them. It only reads. Promises: every change has
 * the length of what it replaces; the disk with any first part of the patches is as sound as the one without; and with
 * all of them no fact is worse and each that is named is cured, which is looked at before they are given out. What
 * cannot be read or proven is left as it is, with the reason.
 */
export interface SealedChanges {
  readonly patches: readonly BytePatch[];
  readonly changes: readonly Told[];
  readonly left: readonly Told[];
  /** Of the disk with the patches; of the disk that the server starts from. */
  readonly readiness?: Readiness;
}

type Told = Omit<SealedChange, 'diskId'>;

interface LookOptions {
  /** It is the disk that the server starts from: its registry counts. */
  readonly boot: boolean;
  readonly signal?: AbortSignal;
  readonly limit?: WorkLimit;
}

const GPT_CODE = 'GPT_BACKUP';
/** More than this is not a few values: what the logs of a hive hold would be written with it. */
const PATCH_BYTES_MAX = 32 * 1024 ** 2;
const NOTHING: SealedChanges = { patches: [], changes: [], left: [] };

export async function sealedChanges(disk: BlockDevice, options: LookOptions): Promise<SealedChanges> {
  const device = limitedDevice(disk, options.limit);
  const table = await tableChanges(device);
  const registry = options.boot
    ? await unlessUnread('REGISTRY', () => registryChanges(device, options))
    : NOTHING;
  if (!options.boot) return table;
  return await unlessWorse(disk, options, {
    patches: [...table.patches, ...registry.patches],
    changes: [...table.changes, ...registry.changes],
    left: [...table.left, ...registry.left],
  });
}

async function tableChanges(device: BlockDevice): Promise<SealedChanges> {
  const found = await gptBackup(device);
  if (found.state === 'damaged')
    return leftWith(GPT_CODE, `The backup of the GPT stays where it is. ${found.why}`);
  if (found.state !== 'misplaced') return NOTHING;
  const text = `The backup of the GPT goes to the end of the disk (sector ${found.toSector}; it was at ${found.fromSector})`;
  return { patches: found.patches, changes: [{ code: GPT_CODE, text }], left: [] };
}

async function registryChanges(device: BlockDevice, { signal }: LookOptions): Promise<SealedChanges> {
  const disk = await readGuestDisk(device, signal);
  const windows = await findWindows(disk);
  if (!windows) return NOTHING;
  const system = await loadHive(windows.tree, `${CONFIG}/SYSTEM`);
  const current = system && currentSetOf(system.hive);
  if (!system || !current) return leftWith('SYSTEM_HIVE', 'The SYSTEM hive has no control set.');
  const { generation } = await readBootChain(disk, 'windows');
  const sets = controlSetsOf(system.hive);
  const { cures, left } = await registryCures({
    hive: system.hive,
    sets,
    current,
    tree: windows.tree,
    generation,
  });
  if (cures.length === 0) return { patches: [], changes: [], left };
  const inFile = changesInPlace(
    system,
    cures.map(({ change }) => change),
  );
  const bytes = inFile.reduce((sum, patch) => sum + patch.bytes.length, 0);
  if (bytes > PATCH_BYTES_MAX)
    return leftWith('SYSTEM_HIVE', `Its logs hold ${bytes} bytes that its file has not.`);
  const patches = inFile.flatMap((patch) => onDisk(windows, system.file, patch));
  return { patches, changes: cures.map(({ code, text }) => ({ code, text })), left };
}

/** A piece of a file, where it lies on the disk. */
function onDisk({ volume }: WindowsSystem, file: TreeFile, { atBytes, bytes }: BytePatch): BytePatch[] {
  const places = isOnTheDisk(volume) ? file.placeOf?.(atBytes, bytes.length) : undefined;
  if (!places) throw unreadable(`${CONFIG}/SYSTEM`, 'It has no place of its own on the disk.');
  let from = 0;
  return places.map(({ offsetBytes, sizeBytes }) => {
    const piece = bytes.subarray(from, from + sizeBytes);
    from += sizeBytes;
    return { atBytes: volume.offsetBytes + offsetBytes, bytes: piece };
  });
}

/** A logical volume counts its bytes from its own beginning. */
function isOnTheDisk({ partition, name }: GuestVolume): boolean {
  return partition !== undefined || name === 'the whole disk';
}

/** What damaged data hides cannot be changed. */
async function unlessUnread(code: string, act: () => Promise<SealedChanges>): Promise<SealedChanges> {
  try {
    return await act();
  } catch (error) {
    if (!isStandbyError(error)) throw error;
    return leftWith(code, messageOf(error));
  }
}

function leftWith(code: string, text: string): SealedChanges {
  return { patches: [], changes: [], left: [{ code, text }] };
}

/** The proof: the disk is looked at as it is and as it would be. */
async function unlessWorse(
  disk: BlockDevice,
  { signal, limit }: LookOptions,
  found: SealedChanges,
): Promise<SealedChanges> {
  const look = { ...(signal ? { signal } : {}), ...(limit ? { limit } : {}) };
  const before = await readReadiness(disk, look);
  if (found.patches.length === 0) return { ...found, readiness: before };
  const after = await readReadiness(patchedDevice(disk, found.patches), look);
  const faults = ({ verdicts }: Readiness) =>
    new Set(verdicts.filter(({ status }) => status !== 'ok').map(({ code, status }) => `${code} ${status}`));
  const [was, is] = [faults(before), faults(after)];
  const worse = [...is].filter((fault) => !was.has(fault));
  const uncured = found.changes.filter(({ code }) => [...is].some((fault) => fault.startsWith(`${code} `)));
  if (worse.length === 0 && uncured.length === 0) return { ...found, readiness: after };
  const why = `The changes were not made: with them the disk would have ${[...worse, ...uncured.map(({ code }) => code)].join(', ')}.`;
  return { ...leftWith('PATCH_UNPROVEN', why), readiness: before };
}

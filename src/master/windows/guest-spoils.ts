import { isStandbyError } from '../../errors.ts';
import { NtfsTree } from '../../guest/ntfs-tree.ts';
import { VolumeBytes } from '../../guest/volume.ts';
import type { Log } from '../../log.ts';
import type { BlockDevice } from '../../ports/block-device.ts';

/**
 * Where on an NTFS volume lies what is worth nothing on another machine: the page file, the memory of a hibernated
 * server, and the storage of shadow copies (they do not survive a copy). Windows writes its tables down before a shadow
 * copy stands, so what they say is so. A file that is not understood whole is left as it is: that costs bytes, no data.
 */
interface SpoiltRange {
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

const IN_ROOT = ['pagefile.sys', 'swapfile.sys', 'hiberfil.sys'];
const SHADOW_FOLDER = 'System Volume Information';
/** The last part of the name of every file that keeps shadow copies. */
const SHADOW_STORAGE = '{3808876b-c176-4e48-b7ae-04046e6cc752}';

/** On the disk, counted from its beginning. */
export async function guestSpoils(
  disk: BlockDevice,
  { offsetBytes, sizeBytes }: SpoiltRange,
  log: Log,
): Promise<SpoiltRange[]> {
  try {
    const tree = await NtfsTree.open(new VolumeBytes(disk, offsetBytes, sizeBytes));
    const stored = (await tree.list(SHADOW_FOLDER)) ?? [];
    const names = [
      ...IN_ROOT,
      ...stored
        .filter((name) => name.toLowerCase().endsWith(SHADOW_STORAGE))
        .map((name) => `${SHADOW_FOLDER}/${name}`),
    ];
    const ranges: SpoiltRange[] = [];
    for (const name of names) {
      const file = await tree.find(name);
      if (file?.kind === 'file') ranges.push(...(file.placeOf?.(0, file.sizeBytes) ?? []));
    }
    return ranges.map((range) => ({ ...range, offsetBytes: offsetBytes + range.offsetBytes }));
  } catch (error) {
    if (!isStandbyError(error)) throw error;
    log.info('page file and shadow storage of a volume are copied as they are', { reason: error.message });
    return [];
  }
}

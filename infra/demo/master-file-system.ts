import { rm } from 'node:fs/promises';
import type { Firmware } from '../../src/model/disk.ts';
import { MIB } from '../../src/model/disk.ts';
import { command } from './command.ts';
import { ROOT_OFFSET_BYTES } from './master-image.ts';

/** Looks at the server's root file system in a copy of it: no mount, no root, and the disk itself is only read. */
export interface RootFileSystem {
  /**
   * Replays the journal, as the next boot would, then checks everything and repairs nothing. Throws with what e2fsck
   * says unless the file system is whole.
   */
  check(): Promise<string>;
  read(path: string): Promise<string>;
  remove(): Promise<void>;
}

export async function rootFileSystemOf(
  disk: string,
  firmware: Firmware,
  copy: string,
): Promise<RootFileSystem> {
  // e2fsck loses a partition's offset when it replays a journal, so the file system gets a file of its own.
  const skip = ROOT_OFFSET_BYTES[firmware] / MIB;
  await command('dd', [`if=${disk}`, `of=${copy}`, 'bs=1M', `skip=${skip}`, 'conv=sparse', 'status=none']);
  return {
    async check() {
      // 1: it wrote, which replaying is.
      const replayed = await command('e2fsck', ['-E', 'journal_only', '-p', copy], { alsoFine: [1] });
      return replayed + (await command('e2fsck', ['-fn', copy]));
    },
    read: (path) => command('debugfs', ['-R', `cat ${path}`, copy]),
    remove: () => rm(copy, { force: true }),
  };
}

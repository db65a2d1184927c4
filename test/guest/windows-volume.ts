import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { emptyFile, MIB, run } from './volumes.ts';

/**
 * An NTFS volume of 24 MiB with the folders of a Windows server: Windows/System32/{config,drivers}, Boot, and some for
 * its reader to stumble over: many (an index of several blocks), holes (a file in 400 pieces), squeezed (a compressed
 * file). No tool here makes folders without a mount, so it was made once, with ntfs-3g; docs/GUEST.md tells how. Its
 * table of upper-case letters, which does not compress, is that of a volume made now by mkntfs.
 */
const FIXTURE = new URL('./fixtures/windows-folders.ntfs.zst', import.meta.url);
const UPCASE_AT = 0x349000;
const UPCASE_BYTES = 128 * 1024;
export const NTFS_BYTES = 24 * MIB;
/** Where the volume says that it begins on its disk. */
export const NTFS_SECTOR = 67_584;

let made: Buffer | undefined;

/** Puts files into the volume; their folders must be there. Nothing is kept of `folder` but the volume. */
export function windowsVolume(folder: string, files: Readonly<Record<string, Buffer>> = {}): string {
  made ??= withUpcase(folder);
  const volume = join(folder, 'system.ntfs');
  writeFileSync(volume, made);
  for (const [path, bytes] of Object.entries(files)) {
    const source = join(folder, 'one-file');
    writeFileSync(source, bytes);
    run('ntfscp', '-q', '-f', volume, source, path);
  }
  return volume;
}

function withUpcase(folder: string): Buffer {
  const fresh = emptyFile(join(folder, 'fresh.ntfs'), NTFS_BYTES);
  const place = ['-p', `${NTFS_SECTOR}`, '-H', '255', '-S', '63'];
  run('mkntfs', '-F', '-Q', '-q', '-c', '4096', '-s', '512', ...place, '-L', 'System', fresh);
  const bytes = zstdDecompressSync(readFileSync(FIXTURE));
  readFileSync(fresh).copy(bytes, UPCASE_AT, UPCASE_AT, UPCASE_AT + UPCASE_BYTES);
  return bytes;
}

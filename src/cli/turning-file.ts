import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** A log file that never fills a disk: when it is full it becomes `<name>.1`, in the place of the one before. */
export interface TurningFile {
  write(line: string): void;
}

const SIZE_MAX = 16 * 1024 ** 2;

export function turningFile(path: string, sizeMax = SIZE_MAX): TurningFile {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const open = () => openSync(path, 'a', 0o600);
  let file = open();
  let sizeBytes = fstatSync(file).size;
  return {
    write(line) {
      if (sizeBytes > 0 && sizeBytes + Buffer.byteLength(line) > sizeMax) {
        closeSync(file);
        renameSync(path, `${path}.1`);
        file = open();
        sizeBytes = 0;
      }
      sizeBytes += writeSync(file, line);
    },
  };
}

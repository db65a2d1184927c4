import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import type { MasterDisk } from '../model/disk.ts';

const NEXT =
  'Make sure nothing writes to it (shut the server down), then run the scenario again: it starts over.';

export function diskResized(disk: MasterDisk, sizeBytes: number): StandbyError {
  const shrank = sizeBytes < disk.sizeBytes;
  return new StandbyError({
    code: shrank ? 'DISK_SHRANK' : 'DISK_CHANGED',
    what: `Disk ${disk.id} (${disk.path}) ${shrank ? 'shrank' : 'grew'}.`,
    why: `It has ${sizeBytes} bytes; the inventory says ${disk.sizeBytes}.`,
    next: shrank ? 'Restore the disk, or join the master again so that its inventory is right.' : NEXT,
  });
}

export function diskChanged(disk: MasterDisk, before: string, now: string): StandbyError {
  return new StandbyError({
    code: 'DISK_CHANGED',
    what: `Disk ${disk.id} (${disk.path}) changed while it was copied at rest.`,
    why: `Before: ${before}. Now: ${now}.`,
    next: NEXT,
  });
}

/** A view that should have stood still while it was compared. */
export function viewMoved(disk: MasterDisk, path: string): StandbyError {
  return new StandbyError({
    code: 'DISK_CHANGED',
    what: `Disk ${disk.id} (${path}) changed while it was compared.`,
    why: 'What was read is a mixture of two states, so nothing of it is used.',
    next: 'Start the master’s engine with `--before` and `--after` (a snapshot, or a file system that is frozen), and `--read` to say where the view is read. It is tried again by itself.',
    retry: 'later',
  });
}

/** The device knows its path; people know the disk's name too. */
export function diskProblem(disk: MasterDisk, error: unknown): StandbyError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || (isStandbyError(error) && error.code === 'DISK_VANISHED')) {
    return new StandbyError({
      code: 'DISK_VANISHED',
      what: `Disk ${disk.id} (${disk.path}) is no longer there.`,
      next: 'Bring it back under the same path, then run the scenario again.',
      cause: error,
    });
  }
  if (isStandbyError(error)) {
    return new StandbyError({
      code: error.code,
      what: `Disk ${disk.id} cannot be copied. ${error.what}`,
      ...(error.why ? { why: error.why } : {}),
      next: error.next ?? NEXT,
      cause: error,
    });
  }
  return new StandbyError({
    code: 'DISK_UNREADABLE',
    what: `Disk ${disk.id} (${disk.path}) cannot be read.`,
    why: messageOf(error),
    next: 'Check the disk and the system log, then run the scenario again: it goes on where it was.',
    cause: error,
  });
}

export function diskUnreadable(error: unknown): StandbyError {
  return new StandbyError({
    code: 'DISK_UNREADABLE',
    what: 'A disk of this master cannot be read.',
    why: messageOf(error),
    next: 'Check the disk and the system log. What could not be read is tried again.',
    retry: 'later',
    cause: error,
  });
}

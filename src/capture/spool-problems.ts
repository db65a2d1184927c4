import { messageOf, StandbyError } from '../errors.ts';

export function spoolBroken(error: unknown): StandbyError {
  return new StandbyError({
    code: 'SPOOL_BROKEN',
    what: 'The spool on this master cannot be written.',
    why: messageOf(error),
    next: 'Check the disk that holds the state folder, then start the engine again.',
    cause: error,
  });
}

export function spoolDamaged(sequence: number, name: string): StandbyError {
  return new StandbyError({
    code: 'SPOOL_DAMAGED',
    what: `Record ${sequence} of the spool (${name}) is not what was written.`,
    why: 'Its checksum is wrong, though it was durable: the disk or the memory of this machine is likely to be broken.',
    next: 'Test the disk that holds the state folder. What was lost is read from the master’s disk again.',
  });
}

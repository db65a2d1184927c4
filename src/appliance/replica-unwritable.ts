import { isStandbyError, messageOf, StandbyError } from '../errors.ts';

/** What kept a replica disk from being written, if it has no name of its own yet. */
export function replicaUnwritable(error: unknown): StandbyError {
  if (isStandbyError(error)) return error;
  return new StandbyError({
    code: 'REPLICA_WRITE_FAILED',
    what: 'A replica disk cannot be written.',
    why: messageOf(error),
    next: 'Check the data disks of the appliance, then run the scenario again: it goes on where it was.',
    cause: error,
  });
}

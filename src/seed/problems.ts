import { inputError, StandbyError } from '../errors.ts';

/** In which words a seed is refused. Those that say it before anything is written are of kind `input`. */
export function notASeed(path: string): StandbyError {
  return inputError(
    'SEED_ABSENT',
    `${path} does not begin as a seed.`,
    'Name the file or the device that was exported to.',
  );
}

export function damaged(path: string, where: string, why: string): StandbyError {
  return new StandbyError({
    code: 'SEED_DAMAGED',
    what: `The seed ${path} is damaged: ${where}.`,
    why,
    next: 'Copy it again from where it was exported, or export it anew (--overwrite); then give the same command again.',
  });
}

export function keyWrong(path: string): StandbyError {
  return inputError(
    'SEED_KEY_WRONG',
    `The key does not open the seed ${path}.`,
    'Give the key that it was exported with: --key-file FILE.',
  );
}

export function versionUnknown(path: string, version: number): StandbyError {
  return inputError(
    'SEED_VERSION',
    `The seed ${path} is of format ${version}, which this version of Standby does not read.`,
    'Use the same version of Standby at both ends.',
  );
}

export function notFinished(path: string): StandbyError {
  return inputError(
    'SEED_UNFINISHED',
    `The seed ${path} is not finished.`,
    'Give the export command again where it was begun: it goes on. Then bring the whole seed.',
  );
}

export function torn(path: string, bytes: number, wanted: number): StandbyError {
  return inputError(
    'SEED_TORN',
    `The seed ${path} ends too early: it has ${bytes} bytes of ${wanted}.`,
    'Copy it again from where it was exported.',
  );
}

export function targetInUse(path: string): StandbyError {
  return inputError(
    'SEED_TARGET_IN_USE',
    `${path} holds something that is no seed.`,
    'Name another file or device, or say that what it holds may go: --overwrite.',
  );
}

export function targetFull(path: string, cause: unknown): StandbyError {
  return new StandbyError({
    code: 'SEED_TARGET_FULL',
    what: `${path} is full.`,
    why: 'The seed does not fit.',
    next: 'Make room and give the same command again: it goes on. A smaller device cannot become larger: name another one.',
    cause,
  });
}

export function seedBusy(path: string): StandbyError {
  return new StandbyError({
    code: 'SEED_BUSY',
    what: `Another process is writing ${path}.`,
    next: 'Let it end, or end it; then give the same command again.',
    retry: 'later',
  });
}

export function seedInterrupted(command: string): StandbyError {
  return new StandbyError({
    code: 'SEED_INTERRUPTED',
    what: 'Stopped half-way.',
    next: `Give the same command again: standby seed ${command} goes on where it was.`,
    kind: 'interrupted',
  });
}

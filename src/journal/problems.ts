import { messageOf, StandbyError } from '../errors.ts';
import { errnoOf } from './files.ts';

/** Every way in which a journal can refuse or break, by its name, each with a way out. */
export interface Damage {
  readonly segment: string;
  readonly offsetBytes: number;
  /** The record that is bad, or the first that is missing. */
  readonly sequence: bigint;
  readonly why: string;
}

export class JournalDamaged extends StandbyError {
  readonly damage: Damage;

  constructor(damage: Damage) {
    const { segment, offsetBytes, sequence, why } = damage;
    super({
      code: 'JOURNAL_DAMAGED',
      what: `The journal segment ${segment} is damaged at byte ${offsetBytes}, record ${sequence}: ${why}.`,
      why: 'What was written and synced there does not read back as it was; nothing from there on was applied.',
      next: 'Check the journal disk. The replica stays at its last consistent position and can be rewound; run the scenario again to resynchronise.',
    });
    this.damage = damage;
  }
}

export function journalForeign(segment: string, code: 'version' | 'journal', words: string): StandbyError {
  return new StandbyError({
    code: code === 'version' ? 'JOURNAL_VERSION' : 'JOURNAL_FOREIGN',
    what: `The journal segment ${segment} does not belong here: ${words}.`,
    next:
      code === 'version'
        ? 'Start the engine version that wrote it, or resynchronise with an empty journal folder.'
        : 'Give each scenario and epoch a journal folder of its own; put the right folder back, or resynchronise.',
  });
}

export function journalGap(end: bigint, follows: bigint, found: bigint): StandbyError {
  return new StandbyError({
    code: 'JOURNAL_GAP',
    what: `${found} came, which follows change ${follows}, but the journal ends at ${end}; nothing of it was kept.`,
    why: 'Changes in between are missing.',
    next: 'The sender goes on from the last durable position; when it no longer has those changes, resynchronise.',
  });
}

export function journalRefused(code: string, what: string, next: string): StandbyError {
  return new StandbyError({ code, what, next, kind: 'input' });
}

export function journalFull(what: string): StandbyError {
  return new StandbyError({
    code: 'JOURNAL_FULL',
    what,
    why: 'The space the journal may use is taken by changes that are not on the replica yet.',
    next: 'Let the replica catch up (go forward again after a rewind), or allow the journal more space.',
    retry: 'later',
  });
}

export function journalDiskFull(cause: unknown): StandbyError {
  return new StandbyError({
    code: 'JOURNAL_DISK_FULL',
    what: 'The disk that holds the journal is full.',
    why: messageOf(cause),
    next: 'Free space on the appliance’s journal disk or make it larger; the sender goes on by itself after that.',
    retry: 'later',
    cause,
  });
}

export function journalWriteFailed(cause: unknown): StandbyError {
  return new StandbyError({
    code: 'JOURNAL_WRITE_FAILED',
    what: 'The journal could not be written.',
    why: `${messageOf(cause)}. What a failed sync left on the disk is not known, so nothing more is accepted.`,
    next: 'Check the journal disk and start the appliance engine again: it finds out what is durable.',
    retry: 'later',
    cause,
  });
}

export function journalLost(acknowledged: bigint, durable: bigint): StandbyError {
  return new StandbyError({
    code: 'JOURNAL_LOST',
    what: `Changes up to ${acknowledged} were acknowledged, but the journal ends at ${durable}.`,
    why: 'Its disk lost or damaged what it had said was durable, or the folder was replaced by an older one.',
    next: 'Send the missing changes again if the sender has them; otherwise resynchronise.',
  });
}

export function outsideWindow(what: string, next: string): StandbyError {
  return journalRefused('REWIND_OUTSIDE_WINDOW', what, next);
}

/** The replica itself is well: only the way back is not. */
export function rewindDamaged(damage: JournalDamaged, next: string): StandbyError {
  return new StandbyError({
    code: 'REWIND_DAMAGED',
    what: 'The replica was not rewound.',
    why: damage.what,
    next,
    cause: damage,
  });
}

export function isNoSpace(error: unknown): boolean {
  return errnoOf(error) === 'ENOSPC' || errnoOf(error) === 'EDQUOT';
}

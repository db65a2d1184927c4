import { StandbyError } from '../errors.ts';

/**
 * How clients find the standby: one file per method, each makes a `Redirect`. Nothing here decides when: the
 * switchover's steps do, and they keep what `current` said before, for the way home.
 */
export interface RecordState {
  /** IPv4, in order. Empty: there is no record. */
  readonly addresses: readonly string[];
  /** How long clients keep it. */
  readonly ttlSeconds: number;
}

export interface Redirect {
  /** What is changed, for people: no secret in it. */
  readonly title: string;
  current(): Promise<RecordState>;
  /** Proves that a change would be accepted, and leaves the record as it is. Throws what a change would throw. */
  rehearse(): Promise<void>;
  /** Nothing happens when it is so already; throws when it is neither that nor `from`. */
  change(from: RecordState, to: RecordState): Promise<void>;
}

/** Somebody else has changed it between our look and our change. */
export function recordChanged(name: string, expected: readonly string[], words: string): StandbyError {
  return new StandbyError({
    code: 'DNS_RECORD_CHANGED',
    what: `The record ${name} is not what it was, so it was left alone.`,
    why: `It was expected to be ${expected.join(', ') || 'absent'}; ${words}.`,
    next: 'Look at the record; somebody else changed it. Then do this step again.',
    retry: 'later',
  });
}

import { isStandbyError } from '../../errors.ts';
import type { Verdict } from '../../model/verdict.ts';

/** A fact as it should be. */
export function good(code: string, title: string, found: string): Verdict {
  return { code, status: 'ok', title, found };
}

/** A fact that is told and judges nothing. */
export function told(code: string, title: string, found: string): Verdict {
  return { code, status: 'ok', title: `${title} (information)`, found };
}

export interface Fault {
  readonly found: string;
  readonly expected: string;
  /** The command to run on the master, or what else helps. */
  readonly cure: string;
}

/** The standby would not start, or nobody would reach it. */
export function broken(code: string, title: string, { found, expected, cure }: Fault): Verdict {
  return { code, status: 'error', title, found, expected, next: cure };
}

/** It starts, but something will not be as on the master. */
export function doubtful(code: string, title: string, { found, expected, cure }: Fault): Verdict {
  return { code, status: 'warning', title, found, expected, next: cure };
}

/** It could not be looked at: nothing is proven. */
export function unproven(code: string, title: string, found: string): Verdict {
  return { code, status: 'skipped', title, found };
}

const UNREADABLE = new Set(['GUEST_UNREADABLE', 'HIVE_DAMAGED', 'VOLUME_DOUBTFUL']);

/** What damaged files hide is not proven; everything else can still be judged. */
export async function judged<T>(act: () => Promise<T>, otherwise: (why: string) => T): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!isStandbyError(error) || !UNREADABLE.has(error.code)) throw error;
    return otherwise(error.why ? `${error.what} ${error.why}` : error.what);
  }
}

/** What one check found. `skipped` is never `ok`: it says that nothing was proven, and why in `found`. */
export interface Verdict {
  /** Stable word, e.g. SIZE_RESTRICTED. */
  readonly code: string;
  readonly status: 'ok' | 'warning' | 'error' | 'skipped';
  /** What is checked, for a list: `VM size`. */
  readonly title: string;
  readonly found: string;
  readonly expected?: string;
  readonly next?: string;
}

/** What is wrong and was not accepted: errors, and warnings whose code is not among the accepted ones. */
export function openFindings(verdicts: readonly Verdict[], accepted: readonly string[]): readonly Verdict[] {
  return verdicts.filter(
    ({ status, code }) => status === 'error' || (status === 'warning' && !accepted.includes(code)),
  );
}

import type { Verdict } from './verdict.ts';

/** Would the server on a disk start as a VM in Azure? One verdict for each fact; it proves no start. */
export interface Readiness {
  /** `not proven`: nothing wrong was found, but something could not be looked at. */
  readonly verdict: 'ready' | 'not ready' | 'not proven';
  readonly os: { readonly family: 'windows' | 'linux' | 'unknown'; readonly name: string };
  /** The generation of VM that starts it; absent when none would. */
  readonly generation?: 1 | 2 | undefined;
  readonly verdicts: readonly Verdict[];
  /** Not ready as it is; what a switchover would change in the sealed copy, and what is then to be said of that. */
  readonly sealed?:
    | { readonly verdict: Readiness['verdict']; readonly changes: readonly string[] }
    | undefined;
}

import type { Check } from './check.ts';

/** Every check, in the order in which people read the verdicts. */
export const CHECKS: readonly Check[] = [];

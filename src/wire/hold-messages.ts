import { z } from 'zod';
import type { DiskDigest } from '../model/scenario.ts';
import { digestSchema, id, sequence, text } from './fields.ts';

/** What control asks to have a replica's disks stand still for a while (src/appliance/replica-hold.ts). */
const HOLD_MS_MAX = 3_600_000;

export const holdMethods = {
  hold: {
    params: z.object({
      scenarioId: id,
      /** Control's name for it: whoever gives the same one goes on with the same hold. */
      holdId: id,
      /** It ends by itself after this time, unless it is asked for again. */
      ms: z.int().min(1).max(HOLD_MS_MAX),
      /** Only goes on with a hold: one that has ended is an error. */
      renew: z.boolean().optional(),
    }),
    result: z.object({
      epoch: z.int(),
      synchronisedAtMs: z.number(),
      digests: z.array(digestSchema),
      /** Live scenarios: where the disks stand. */
      position: z.object({ sequence, timeMs: z.number() }).optional(),
    }),
  },
  /** `held`: it had lasted until now; otherwise why it ended before. */
  release: {
    params: z.object({ scenarioId: id, holdId: id }),
    result: z.object({ held: z.boolean(), why: text.optional() }),
  },
} as const;

export interface HoldRequest {
  readonly holdId: string;
  readonly ms: number;
  readonly renew?: boolean;
}

export interface HeldReplica {
  readonly epoch: number;
  readonly synchronisedAtMs: number;
  readonly digests: readonly DiskDigest[];
  /** Live scenarios: where the disks stand; the time is the master's. */
  readonly position?: { readonly sequence: string; readonly timeMs: number } | undefined;
}

export interface ReleasedHold {
  readonly held: boolean;
  /** Why it had ended before. */
  readonly why?: string | undefined;
}

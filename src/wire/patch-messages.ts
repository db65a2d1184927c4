import { z } from 'zod';
import { id, text } from './fields.ts';

/** What control asks to be changed on a sealed replica for its snapshots, and to be taken back after them. */
const change = z.object({ diskId: id, code: z.string().max(64), text });
export const PATCH_CHANGES_MAX = 400;

const verdict = z.enum(['ready', 'not ready', 'not proven']);

/** What a patch would do, in a readiness. */
export const sealedReadinessSchema = z.object({ verdict, changes: z.array(text).max(PATCH_CHANGES_MAX) });

export const sealedPatchSchema = z.object({
  changes: z.array(change).max(PATCH_CHANGES_MAX),
  left: z.array(change).max(PATCH_CHANGES_MAX),
  verdict: verdict.optional(),
  faults: z.array(z.string().max(64)).max(200),
});

export const patchMethods = {
  /** The appliance finds out by itself what to change; control names the disk that the server starts from. */
  patchReplica: { params: z.object({ scenarioId: id, bootDiskId: id }), result: sealedPatchSchema },
  unpatchReplica: { params: z.object({ scenarioId: id }), result: z.object({}) },
} as const;

import { z } from 'zod';
import { bytes, digestSchema, id, text } from './fields.ts';

/**
 * The way home: a machine dials the appliance and is sent what its disks differ in. Control opens a restore, which names
 * the disks it is of; the machine asks for it, opens lanes of its own, and both ends prove that they are the same.
 */
const protocol = z.int();
const scenario = z.object({ scenarioId: id });
const restore = scenario.extend({ restoreId: id });

export const restoreHellos = [
  z.object({ purpose: z.literal('restore'), protocol, engineVersion: z.string().max(64) }),
  /** `attempt`: the key of its signatures. */
  z.object({ purpose: z.literal('restore-lane'), protocol, scenarioId: id, restoreId: id, attempt: id }),
] as const;

export const restoreSpecSchema = restore.extend({
  /** Nothing newer will come: who has all of it may boot. */
  final: z.boolean(),
  disks: z
    .array(z.object({ diskId: id, lun: z.int().min(1).max(4096), sizeBytes: z.int().min(512) }))
    .min(1)
    .max(64),
});
export type RestoreSpec = z.infer<typeof restoreSpecSchema>;

const offerSchema = restore.extend({
  final: z.boolean(),
  disks: z.array(
    z.object({
      diskId: id,
      sizeBytes: bytes,
      /** What its partition table calls the disk. */
      mark: z.string().max(64).optional(),
    }),
  ),
});
export type RestoreOffer = z.infer<typeof offerSchema>;
export type FinishedRestore = z.infer<typeof finishedSchema>;

const finishedSchema = restore.extend({ digests: z.array(digestSchema).max(64) });

export const restoreStateSchema = restore.extend({
  final: z.boolean(),
  /** A machine is here and works on it. */
  connected: z.boolean(),
  /** Of this attempt: looked at, and sent (before compression, and on the wire). */
  doneBytes: bytes,
  totalBytes: bytes,
  sentBytes: bytes,
  wireBytes: bytes,
  /** Both ends read all of their disks and agreed. */
  proven: z.object({ atMs: z.number(), digests: z.array(digestSchema), sentBytes: bytes }).optional(),
  problem: text.optional(),
});

export const restoreMethods = {
  // Control. The same restore again changes nothing; another one takes its place.
  openRestore: { params: restoreSpecSchema, result: z.object({}) },
  restoreState: { params: scenario, result: z.object({ restore: restoreStateSchema.optional() }) },
  closeRestore: { params: scenario, result: z.object({}) },
  // The machine that is restored
  restoreOffers: {
    params: z.object({ waitMs: z.int().min(0).max(60_000), notAgain: id.optional() }),
    result: z.object({
      offers: z.array(offerSchema).max(256),
      /** Final, proven, and closed since: who has exactly this may boot, also if nobody could tell it then. */
      finished: z.array(finishedSchema).max(256),
    }),
  },
  /** Answered at once: the appliance reads its disks too. */
  restoreProve: { params: restore, result: z.object({}) },
  /** `waiting`: it still reads. `differs`: these disks, whose chunks `restoreLeaves` tells. */
  restoreProven: {
    params: restore.extend({ digests: z.array(digestSchema).max(64), waitMs: z.int().min(0).max(60_000) }),
    result: z.object({
      state: z.enum(['waiting', 'equal', 'differs']),
      diskIds: z.array(id).max(64).optional(),
    }),
  },
  restoreLeaves: {
    params: restore.extend({ diskId: id, fromByte: bytes }),
    result: z.object({ leaves: z.string().max(700_000), totalBytes: bytes }),
  },
  restoreProblem: { params: restore.extend({ what: text }), result: z.object({}) },
} as const;

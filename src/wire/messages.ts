import { z } from 'zod';
import { bytes, digestSchema, hex, id, sequence, text } from './fields.ts';
import { holdMethods } from './hold-messages.ts';
import { inventorySchema } from './inventory.ts';
import { LIMITS } from './limits.ts';
import { patchMethods, sealedReadinessSchema } from './patch-messages.ts';
import { restoreHellos, restoreMethods } from './restore-messages.ts';

/**
 * Every request that may be sent over port 25000, with what it carries and what it answers. Both ends validate;
 * which role may ask what is decided by where a handler is registered (src/appliance/listener.ts, src/master/engine.ts).
 */
const pem = z.string().min(1).max(16_384);
const base64 = z.string().max(Math.ceil(LIMITS.sliceBytes / 3) * 4 + 8);
const none = z.object({});
const done = z.object({});

export const errorSchema = z.object({
  code: z.string().max(64),
  what: text,
  why: text.optional(),
  next: text.optional(),
  kind: z.enum(['failed', 'input', 'checks', 'interrupted', 'cancelled']).optional(),
  retry: z.enum(['never', 'later']).optional(),
});

const rangeSchema = z.object({ offsetBytes: bytes, sizeBytes: bytes });

/** How far back a live replica can be brought, whichever is reached first; absent: the appliance's own measure. */
const rewindSchema = z.object({ ms: z.number().min(0).optional(), bytes: bytes.optional() });

export const replicaSpecSchema = z.object({
  scenarioId: id,
  masterId: id,
  epoch: z.int().min(0).max(0xffffffff),
  disks: z
    .array(
      z.object({
        diskId: id,
        lun: z.int().min(0).max(4096),
        sizeBytes: z.int().min(512),
        blank: z.boolean(),
        excluded: z.array(rangeSchema).max(256),
      }),
    )
    .min(1)
    .max(64),
  rewind: rewindSchema.optional(),
  /** It waits for control when its master was rebooted (G-86). */
  stopAfterReboot: z.boolean().optional(),
});

export const copyOptionsSchema = z.object({
  capture: z.string().max(64),
  lanes: z.int().min(1).max(LIMITS.lanes),
  compression: z.enum(['none', 'zstd']),
  /** `volume` (default): used data is sent as it is. `block`: both ends are compared, and only what differs is sent. */
  mode: z.enum(['volume', 'block']).optional(),
});

/** Bytes per second for each hour of the appliance's day (UTC); 0 = no limit. Absent: never a limit. */
export const bandwidthSchema = z.object({
  bytesPerSecondByHour: z.array(z.int().min(0)).length(24).optional(),
});

/** What a master says about its stream, at least every second while it replicates. */
export const streamStateSchema = z.object({
  mode: z.enum(['ordered', 'set']),
  reason: text.optional(),
  lastSequence: sequence,
  durableSequence: sequence,
  spooledBytes: bytes,
  spoolLimitBytes: bytes,
  dirtyBytes: bytes,
  /** The master's clock when it said this. */
  masterClockMs: z.number(),
});

const proofSchema = z.object({
  sequence,
  atMs: z.number(),
  equal: z.boolean(),
  digests: z.array(digestSchema),
  /** What differs, by disk, when it does. */
  differing: z.array(z.object({ diskId: id, bytes: bytes, firstByte: bytes })).optional(),
});

export const replicationSchema = z.object({
  originSequence: sequence,
  receivedSequence: sequence,
  appliedSequence: sequence,
  /** By the master's clock; absent until a change came, or was applied. */
  receivedAtMs: z.number().optional(),
  appliedAtMs: z.number().optional(),
  receivedBytes: bytes,
  bytesPerSecond: z.number(),
  /** By the appliance's clock, when the master last said anything about its stream. */
  heardAtMs: z.number().optional(),
  stream: streamStateSchema.optional(),
  /** What a switchover now would lose, as far as the appliance knows; absent while the master was never heard. */
  lagSeconds: z.number().optional(),
  lagBytes: bytes.optional(),
  journal: z.object({
    state: z.enum(['ready', 'full', 'disk-full', 'failed', 'damaged']),
    reason: text.optional(),
    usedBytes: bytes,
    limitBytes: bytes,
    rewindBytes: bytes,
    rewindFromMs: z.number(),
    rewindLimitMs: z.number().optional(),
    rewindLimitBytes: bytes.optional(),
    /** By the appliance's clock: space ran short, and the window became smaller than asked for. */
    rewindShrunkAtMs: z.number().optional(),
    unappliedChanges: z.int().min(0),
    /** Of the disks; an older engine does not say. */
    unappliedBytes: bytes.optional(),
  }),
  /** The last time both ends agreed, or did not, at one position. */
  proof: proofSchema.optional(),
  proving: z.boolean(),
});

export const progressSchema = z.object({
  scenarioId: id,
  epoch: z.int(),
  state: z.enum([
    'idle',
    'copying',
    'proving',
    'draining',
    'synchronised',
    'replicating',
    'resync-needed',
    'failed',
    'sealed',
    'master-away',
  ]),
  doneBytes: bytes,
  totalBytes: bytes,
  sentBytes: bytes,
  wireBytes: bytes,
  resentBlocks: z.int().min(0),
  /** Of the master's disks: free by their file systems, so not copied and zeros on the replica. */
  leftOutBytes: bytes.optional(),
  bytesPerSecond: z.number().optional(),
  startedAtMs: z.number().optional(),
  endedAtMs: z.number().optional(),
  digests: z.array(digestSchema).optional(),
  error: errorSchema.optional(),
  replication: replicationSchema.optional(),
  /** A whole seed was written onto its disks (`standby seed import`), by the appliance's clock. */
  seed: z.object({ seedId: id, atMs: z.number(), dataBytes: bytes }).optional(),
});

export const pointSchema = z.union([
  z.strictObject({ latest: z.literal(true) }),
  z.strictObject({ bookmark: z.string().min(1).max(128) }),
  z.strictObject({ timeMs: z.number() }),
  z.strictObject({ sequence }),
]);

export const bookmarkSchema = z.object({ name: z.string().min(1).max(128), sequence, timeMs: z.number() });

const verdictSchema = z.object({
  code: z.string().max(64),
  status: z.enum(['ok', 'warning', 'error', 'skipped']),
  title: text,
  found: text,
  expected: text.optional(),
  next: text.optional(),
});

const readinessSchema = z.object({
  verdict: z.enum(['ready', 'not ready', 'not proven']),
  os: z.object({ family: z.enum(['windows', 'linux', 'unknown']), name: text }),
  generation: z.union([z.literal(1), z.literal(2)]).optional(),
  verdicts: z.array(verdictSchema).max(200),
  sealed: sealedReadinessSchema.optional(),
});

export const pendingJoinSchema = z.object({
  tokenId: hex(16),
  requestPem: pem,
  proof: hex(64),
  inventory: inventorySchema,
});

export const helloSchema = z.discriminatedUnion('purpose', [
  z.object({ purpose: z.literal('control'), protocol: z.int(), engineVersion: z.string().max(64) }),
  z.object({
    purpose: z.literal('session'),
    protocol: z.int(),
    engineVersion: z.string().max(64),
    inventory: inventorySchema,
  }),
  z.object({ purpose: z.literal('lane'), protocol: z.int(), scenarioId: id, attempt: id }),
  z.object({ purpose: z.literal('changes'), protocol: z.int(), scenarioId: id, epoch: z.int() }),
  ...restoreHellos,
]);

const scenario = z.object({ scenarioId: id });
const attempt = z.object({ scenarioId: id, attempt: id });
const sliceOfDisk = z.object({ scenarioId: id, diskId: id, fromByte: bytes });

export const methods = {
  // Anybody, once: who are you?
  hello: {
    params: helloSchema,
    result: z.object({
      applianceId: id,
      engineVersion: z.string().max(64),
      protocol: z.int(),
      nowMs: z.number(),
      creditFrames: z.int().min(1).max(64).optional(),
      /** To `changes`: the stream goes on after this one, which is durable here. */
      after: sequence.optional(),
    }),
  },
  // Control, on an appliance without a certificate
  enrolProve: {
    params: z.object({ applianceId: id, proof: hex(64) }),
    result: z.object({ proof: hex(64), requestPem: pem }),
  },
  enrolStore: { params: z.object({ certificatePem: pem, caPem: pem }), result: done },
  // A master without a certificate
  join: {
    params: pendingJoinSchema.extend({ tokenSha256: hex(64), waitMs: z.int().min(0).max(60_000) }),
    result: z.discriminatedUnion('state', [
      z.object({ state: z.literal('waiting') }),
      z.object({ state: z.literal('granted'), masterId: id, certificatePem: pem, caPem: pem }),
    ]),
  },
  // Control
  disks: {
    params: none,
    result: z.object({
      disks: z.array(
        z.object({
          lun: z.int(),
          path: text,
          sizeBytes: bytes,
          scenarioId: id.optional(),
          diskId: id.optional(),
        }),
      ),
    }),
  },
  offerJoin: {
    params: z.object({ tokenId: hex(16), tokenSha256: hex(64), expiresAtMs: z.number() }),
    result: done,
  },
  pendingJoins: { params: none, result: z.object({ pending: z.array(pendingJoinSchema) }) },
  grantJoin: { params: z.object({ tokenId: hex(16), masterId: id, certificatePem: pem }), result: done },
  masters: {
    params: none,
    result: z.object({
      masters: z.array(
        z.object({
          masterId: id,
          connected: z.boolean(),
          engineVersion: z.string().max(64).optional(),
          lastSeenMs: z.number().optional(),
          inventory: inventorySchema.optional(),
        }),
      ),
    }),
  },
  openReplica: { params: replicaSpecSchema, result: done },
  startCopy: { params: z.object({ scenarioId: id, options: copyOptionsSchema }), result: done },
  progress: {
    params: z.object({ scenarioId: id, waitMs: z.int().min(0).max(60_000) }),
    result: progressSchema,
  },
  stopCopy: { params: scenario, result: done },
  seal: {
    params: z.object({
      scenarioId: id,
      /** Live scenarios: which position; the latest unless told. */
      point: pointSchema.optional(),
      /** Live scenarios: false = what is in the journal and not on the disks yet is left out. */
      drain: z.boolean().optional(),
    }),
    result: z.object({
      epoch: z.int(),
      synchronisedAtMs: z.number(),
      digests: z.array(digestSchema),
      position: z.object({ sequence, timeMs: z.number(), leftOutChanges: z.int().min(0) }).optional(),
    }),
  },
  bookmark: {
    params: z.object({ scenarioId: id, name: z.string().min(1).max(128) }),
    result: bookmarkSchema,
  },
  bookmarks: {
    params: scenario,
    result: z.object({ bookmarks: z.array(bookmarkSchema), rewindFromMs: z.number() }),
  },
  /** Holds from now on, and for later epochs until `openReplica` says another. */
  setRewind: { params: z.object({ scenarioId: id, rewind: rewindSchema }), result: done },
  /** Begins a proof at the next consistent position; its end is seen in `progress`. */
  scrub: { params: scenario, result: done },
  /** Read from the replica at one position; nothing is held up. */
  readiness: { params: z.object({ scenarioId: id, diskId: id }), result: readinessSchema },
  /** What this appliance may receive from its masters together, by hour of the day. */
  bandwidth: { params: none, result: bandwidthSchema },
  setBandwidth: { params: bandwidthSchema, result: done },
  unseal: { params: scenario, result: done },
  ...holdMethods,
  ...patchMethods,
  ...restoreMethods,
  /** Keeps the scenario's master off the network, now and in every later session of it; or lets it on again. */
  fence: {
    /** `insist`: it is remembered also when the master is away or fails; otherwise nothing of it stays then. */
    params: z.object({ scenarioId: id, fenced: z.boolean(), insist: z.boolean().optional() }),
    /** `gone`: its session ended meanwhile. `away`: it is not here. */
    result: z.object({ outcome: z.enum(['done', 'failed', 'away', 'gone']), why: text.optional() }),
  },
  closeReplica: { params: scenario, result: done },
  // Appliance, on the master
  copyStart: {
    params: z.object({
      scenarioId: id,
      options: copyOptionsSchema,
      disks: z.array(
        z.object({
          diskId: id,
          sizeBytes: bytes,
          excluded: z.array(rangeSchema),
          /** What the disk looked like when this epoch began; the copy goes on only if it still does. */
          identity: text.optional(),
        }),
      ),
      /** Of a block-level copy: signatures are made with it; without one, with the attempt's id. */
      signatureKey: id.optional(),
    }),
    result: z.object({ identities: z.array(z.object({ diskId: id, identity: text })) }),
  },
  fenceMaster: {
    params: z.object({ scenarioId: id, fenced: z.boolean() }),
    result: z.object({ outcome: z.enum(['done', 'failed']), why: text.optional() }),
  },
  copyProve: { params: scenario, result: done },
  copyLeaves: { params: sliceOfDisk, result: z.object({ leaves: base64, totalBytes: bytes }) },
  copyStop: { params: scenario, result: done },
  /** Follow the disks live and dial a connection for changes, again and again until `streamStop`. */
  streamStart: {
    params: z.object({
      scenarioId: id,
      epoch: z.int(),
      capture: z.string().max(64),
      /** True: a full copy begins, the stream starts anew. False: it goes on behind what the appliance has. */
      fresh: z.boolean(),
      disks: z.array(z.object({ diskId: id, sizeBytes: bytes, excluded: z.array(rangeSchema) })),
    }),
    /** `originSequence` when fresh: the views of the copy hold everything up to it. */
    result: z.object({ originSequence: sequence.optional() }),
  },
  /** `forget`: the capture is closed for good; otherwise it goes on noting what changes. */
  streamStop: { params: z.object({ scenarioId: id, forget: z.boolean() }), result: done },
  /** Answered at once; `streamProving` and `streamProven` follow. */
  streamProve: { params: scenario, result: done },
  streamLeaves: { params: sliceOfDisk, result: z.object({ leaves: base64, totalBytes: bytes }) },
  // Master, on the appliance
  /** `leftOutBytes`: what the file systems call free; it counts as zeros and is not copied. */
  copyBegin: { params: attempt.extend({ leftOutBytes: bytes.optional() }), result: done },
  copyHave: { params: sliceOfDisk, result: z.object({ bits: base64, totalBytes: bytes }) },
  copyProven: { params: z.object({ scenarioId: id, digests: z.array(digestSchema) }), result: done },
  copyProblem: { params: z.object({ scenarioId: id, error: errorSchema }), result: done },
  streamState: { params: z.object({ scenarioId: id, state: streamStateSchema }), result: done },
  /** The proof is of the disks as they were at this consistent position; its mark is in the stream. */
  streamProving: { params: z.object({ scenarioId: id, sequence }), result: done },
  streamProven: {
    params: z.object({ scenarioId: id, sequence, digests: z.array(digestSchema) }),
    result: done,
  },
  /** The stream cannot go on by itself. `lost`: order and map are gone, only a new synchronisation helps. */
  streamProblem: {
    params: z.object({ scenarioId: id, error: errorSchema, lost: z.boolean() }),
    result: done,
  },
} as const;

export type Method = keyof typeof methods;
export type Params<M extends Method> = z.infer<(typeof methods)[M]['params']>;
export type Result<M extends Method> = z.infer<(typeof methods)[M]['result']>;
export type WireError = z.infer<typeof errorSchema>;

const requestId = z.int().min(1).max(Number.MAX_SAFE_INTEGER);

/** What a message frame holds. */
export const envelopeSchema = z.union([
  z.strictObject({ request: requestId, method: z.string().max(64), params: z.unknown() }),
  z.strictObject({ reply: requestId, result: z.unknown() }),
  z.strictObject({ reply: requestId, error: errorSchema }),
  z.strictObject({ bye: z.string().max(1024) }),
]);
export type Envelope = z.infer<typeof envelopeSchema>;

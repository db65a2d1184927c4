import { CHUNK_BYTES } from '../block/chunks.ts';

/**
 * Every length, count and wait on port 25000 has its limit here, checked before anything is allocated.
 * Worst case of an appliance: unproven connections x (TLS state + first message) + credit of all lanes x block.
 */
export const PROTOCOL = 1;

export const ALPN = { engines: 'standby/1', enrol: 'standby-enrol/1', join: 'standby-join/1' } as const;
export type Alpn = (typeof ALPN)[keyof typeof ALPN];

export const HEADER_BYTES = 16;
/** Checksum 16, packed length 4, reserved 12, page map 32. */
export const BLOCK_HEADER_BYTES = 64;

export const LIMITS = {
  /** The first message of a connection: who comes, a certificate request, an inventory. */
  firstMessageBytes: 256 * 1024,
  /** A message between engines that know each other. */
  messageBytes: 8 * 1024 * 1024,
  blockBodyBytes: BLOCK_HEADER_BYTES + CHUNK_BYTES,
  /** One frame of changes: one longest change, or many short ones. */
  changesBodyBytes: CHUNK_BYTES + 64 * 1024,
  /** Bytes of changes a master may have under way that the appliance has not made durable yet. */
  changesWindowBytes: 8 * 1024 * 1024,
  /** Bits of the durable map, or leaves of a proof, in one answer. */
  sliceBytes: 512 * 1024,
  /** Requests one side may have open at the other. */
  requestsOpen: 64,
  /** What may wait in memory for a peer that does not read. */
  sendQueueBytes: 32 * 1024 * 1024,
  connections: 256,
  /** Connections that have not shown who they are yet. */
  unprovenConnections: 64,
  unprovenFromOneAddress: 32,
  pendingJoins: 16,
  joinOffers: 64,
  lanes: 8,
  /** Blocks a lane may have under way that the appliance has not written yet; fewer when there are many lanes. */
  creditFrames: 8,
  /** Chunks whose signatures may be asked for at once, and such questions that may wait on a lane. */
  askChunks: 64,
  asksOpen: 8,
  /** One block asked for again this often is a broken disk or memory, not chance. */
  resendsOfOneBlock: 8,
} as const;

export interface Timings {
  readonly handshakeMs: number;
  /** From the end of the handshake to the first whole message. */
  readonly firstMessageMs: number;
  readonly heartbeatMs: number;
  /** A peer from which nothing comes for so long is gone. */
  readonly silenceMs: number;
  readonly requestMs: number;
  readonly reconnectMinMs: number;
  readonly reconnectMaxMs: number;
  /** How often written blocks are made durable. */
  readonly durableMs: number;
}

export const TIMINGS: Timings = {
  handshakeMs: 10_000,
  firstMessageMs: 10_000,
  heartbeatMs: 5_000,
  silenceMs: 20_000,
  requestMs: 20_000,
  reconnectMinMs: 300,
  reconnectMaxMs: 10_000,
  durableMs: 1_000,
};

/**
 * How many members may switch over at once without Azure Resource Manager asking for patience. It lets a principal
 * write 200 times in a region of a subscription, and gives 10 writes a second back. A fifth is left to others. A 429
 * that comes all the same is waited out by every call.
 */
const WRITES = 200;
const WRITES_A_SECOND = 10;
const SHARE = 0.8;
/** No switchover is quicker, so its writes are spread over at least that. */
const LEAST_SECONDS = 30;

export interface MemberWrites {
  /** What is asked for at once when it begins: snapshots and addresses. */
  readonly first: number;
  readonly all: number;
}

export function membersAtOnce(members: readonly MemberWrites[]): number {
  const first = Math.max(1, ...members.map((one) => one.first));
  const all = Math.max(1, ...members.map((one) => one.all));
  const atFirst = Math.floor((WRITES * SHARE) / first);
  const throughout = Math.floor(((WRITES + WRITES_A_SECOND * LEAST_SECONDS) * SHARE) / all);
  return Math.max(1, Math.min(atFirst, throughout));
}

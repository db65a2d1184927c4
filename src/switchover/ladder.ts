import { isStandbyError, type StandbyError } from '../errors.ts';
import type { Scenario } from '../model/scenario.ts';

/**
 * Where the standby VM may stand, best first, and what Azure said to it so far. Pure: the step that makes the VM keeps
 * the refusals in its checkpoint, so a resumed run goes on at the rung where the former one stood.
 */
export interface Rung {
  readonly size: string;
  readonly zone?: string;
}

/** A rung on which Azure had no room, with Azure's own word. */
export interface Refusal extends Rung {
  readonly code: string;
  readonly why: string;
}

/**
 * Every size in the first zone, then every size in the next one: another size costs only the VM, another zone the disks
 * too.
 */
export function rungsOf({
  size,
  zone,
  fallbackSizes = [],
  fallbackZones = [],
}: Scenario['vm']): readonly Rung[] {
  const sizes = [...new Set([size, ...fallbackSizes])];
  if (zone === undefined) return sizes.map((one) => ({ size: one }));
  const zones = [...new Set([zone, ...fallbackZones])];
  return zones.flatMap((in_) => sizes.map((one) => ({ size: one, zone: in_ })));
}

/** The first rung that is still worth a try; undefined when there is none left. */
export function nextRung(rungs: readonly Rung[], refused: readonly Refusal[]): Rung | undefined {
  return rungs.find((rung) => !refused.some((refusal) => rulesOut(refusal, rung)));
}

function rulesOut(refusal: Refusal, rung: Rung): boolean {
  if (refusal.size !== rung.size) return false;
  // A quota is the region's: it is no larger in the next zone.
  return refusal.zone === rung.zone || refusal.code === 'QuotaExceeded';
}

const NO_ROOM = new Set([
  'AllocationFailed',
  'ZonalAllocationFailed',
  'OverconstrainedAllocationRequest',
  'OverconstrainedZonalAllocationRequest',
  'SkuNotAvailable',
  'QuotaExceeded',
]);

/** Azure has no room, or not for us: another size or zone may have. Everything else is no reason to step down. */
export function isNoRoom(error: unknown): error is StandbyError {
  return isStandbyError(error) && NO_ROOM.has(error.code);
}

/** `Standard_D2s_v5 in zone 2`. */
export function rungText({ size, zone }: Rung): string {
  return zone === undefined ? size : `${size} in zone ${zone}`;
}

/** `Standard_D4s_v5 in zone 1 (ZonalAllocationFailed), Standard_D2s_v5 in zone 1 (QuotaExceeded)`. */
export function refusalsText(refused: readonly Refusal[]): string {
  return refused.map((one) => `${rungText(one)} (${one.code})`).join(', ');
}

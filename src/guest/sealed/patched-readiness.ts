import type { Readiness } from '../../model/readiness.ts';
import type { BlockDevice } from '../../ports/block-device.ts';
import type { WorkLimit } from '../limited-device.ts';
import { readReadiness } from '../readiness/readiness.ts';
import { sealedChanges } from './sealed-changes.ts';

/** The readiness of a disk; where something stands in the way of its start, with what a sealed copy of it would be. */
export async function patchedReadiness(
  device: BlockDevice,
  options: { readonly signal?: AbortSignal; readonly limit?: WorkLimit } = {},
): Promise<Readiness> {
  const found = await readReadiness(device, options);
  if (found.verdict !== 'not ready') return found;
  const { changes, readiness } = await sealedChanges(device, { boot: true, ...options });
  if (changes.length === 0 || !readiness) return found;
  return { ...found, sealed: { verdict: readiness.verdict, changes: changes.map(({ text }) => text) } };
}

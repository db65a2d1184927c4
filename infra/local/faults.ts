import { randomUUID } from 'node:crypto';
import { inputError } from '../../src/errors.ts';
import type { State } from './state.ts';

/**
 * Faults on order: the next `times` requests whose action matches `on` go wrong in the way `error` names.
 * Kept in the state, so a kill -9 of Local Azure does not lift them.
 */
export interface FaultSpec {
  /** Action of the request: `Microsoft.Compute/virtualMachines/write`, `.../start/action`, `Entra/token`; `*` matches anything. */
  readonly on: string;
  /**
   * `429` `500` `503` (503 with an HTML body): that answer. `drop`: the connection ends before the request is
   * looked at. `drop-after`: the request is carried out, then the connection ends without an answer.
   * `poll`: the polls of an operation that such a request started are answered 500. `slow`: the operation
   * takes `delayMs` longer. Any other word (`AllocationFailed`) is an error code: with `status` it is answered
   * at once; without, the request is accepted and its operation fails with it.
   */
  readonly error: string;
  readonly status?: number;
  readonly message?: string;
  /** How often; 1 when absent. */
  readonly times?: number;
  /** Let this many matching requests pass first. */
  readonly after?: number;
  readonly retryAfterSeconds?: number;
  readonly delayMs?: number;
}

export interface Fault extends FaultSpec {
  readonly id: string;
  readonly left: number;
  readonly passes: number;
}

export interface FaultBoard {
  add(spec: FaultSpec): Fault;
  list(): readonly Fault[];
  /** One by id, or all. Tells how many went. */
  clear(id?: string): number;
  /** The fault that hits this request, used up by one. `wanted` says at which point we are. */
  take(action: string, wanted: (fault: Fault) => boolean): Fault | undefined;
}

const DOCUMENT = 'faults';

export function makeFaultBoard(state: State): FaultBoard {
  const load = () => state.getDocument<readonly Fault[]>(DOCUMENT) ?? [];
  const store = (faults: readonly Fault[]) => state.setDocument(DOCUMENT, faults);
  return {
    add(spec) {
      checkSpec(spec);
      const fault = { ...spec, id: randomUUID().slice(0, 8), left: spec.times ?? 1, passes: spec.after ?? 0 };
      store([...load(), fault]);
      return fault;
    },
    list: load,
    clear(id) {
      const faults = load();
      const kept = id === undefined ? [] : faults.filter((fault) => fault.id !== id);
      store(kept);
      return faults.length - kept.length;
    },
    take(action, wanted) {
      const faults = load();
      if (faults.length === 0) return undefined;
      const hit = faults.find((fault) => matches(fault.on, action) && wanted(fault));
      if (hit === undefined) return undefined;
      const changed: Fault =
        hit.passes > 0 ? { ...hit, passes: hit.passes - 1 } : { ...hit, left: hit.left - 1 };
      store(faults.map((fault) => (fault === hit ? changed : fault)).filter((fault) => fault.left > 0));
      return hit.passes > 0 ? undefined : hit;
    },
  };
}

function matches(pattern: string, action: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 'i').test(action);
}

function checkSpec(spec: FaultSpec): void {
  if (spec.on === '')
    throw inputError(
      'FAULT_INVALID',
      'A fault needs the action it is on.',
      'For example: --on Microsoft.Compute/virtualMachines/write',
    );
  if (!/^[A-Za-z0-9_-]+$/.test(spec.error))
    throw inputError('FAULT_INVALID', `'${spec.error}' is not an error a fault can give.`);
  const counts = {
    times: spec.times ?? 1,
    after: spec.after ?? 0,
    delayMs: spec.delayMs ?? 0,
    retryAfterSeconds: spec.retryAfterSeconds ?? 0,
  };
  for (const [name, value] of Object.entries(counts)) {
    if (!Number.isInteger(value) || value < (name === 'times' ? 1 : 0)) {
      throw inputError('FAULT_INVALID', `${name} of a fault must be a whole number, not ${value}.`);
    }
  }
  if (spec.status !== undefined && !(spec.status >= 400 && spec.status <= 599)) {
    throw inputError('FAULT_INVALID', `The status of a fault is 400 to 599, not ${spec.status}.`);
  }
  if (spec.error === 'slow' && spec.delayMs === undefined) {
    throw inputError('FAULT_INVALID', 'The fault `slow` needs delayMs.');
  }
}

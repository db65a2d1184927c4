import type { FaultBoard } from '../faults.ts';
import type { Latency } from '../latency.ts';
import type { State } from '../state.ts';
import type { ArmContext } from './behaviour.ts';
import type { StoredGraph } from './graph.ts';
import type { GroupStore } from './groups.ts';
import type { Operations } from './operations.ts';
import type { Polls } from './polls.ts';
import type { ProviderStore } from './providers.ts';
import type { Rbac } from './rbac.ts';
import type { Registry } from './registry.ts';

/** What the parts of the ARM core share. `context` is the face of it that behaviours see. */
export interface Core {
  readonly baseUrl: string;
  readonly state: State;
  readonly registry: Registry;
  readonly context: ArmContext;
  readonly graph: StoredGraph;
  readonly groups: GroupStore;
  readonly providers: ProviderStore;
  readonly operations: Operations;
  readonly polls: Polls;
  readonly latency: Latency;
  readonly faults: FaultBoard;
  readonly rbac: Rbac;
}

import type { Response } from '../exchange.ts';

/** What a request turned out to be. `action` is Azure's name for it: permissions and faults go by it. */
export interface Route {
  readonly action: string;
  /** For AuthorizationFailed. */
  readonly scope: string;
  /** Becomes a stored operation: faults given by a bare error code spoil that, not the answer. */
  readonly isOperation: boolean;
  handle(): Promise<Response> | Response;
}

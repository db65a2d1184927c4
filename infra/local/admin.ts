import { timingSafeEqual } from 'node:crypto';
import { isStandbyError, messageOf } from '../../src/errors.ts';
import { bodyObject, type Request, type Response } from './exchange.ts';
import type { FaultBoard, FaultSpec } from './faults.ts';
import type { Settings, SettingsChange } from './settings.ts';

/**
 * What `standby local` asks the daemon for, under /_local on the same listener. Guarded by a random token that lies
 * in a file only its owner can read.
 */
export interface Admin {
  /** Undefined: not an admin request. */
  answer(request: Request): Response | undefined;
}

export function makeAdmin(options: {
  readonly token: string;
  readonly faults: FaultBoard;
  readonly settings: Settings;
  status(): unknown;
}): Admin {
  const { faults, settings } = options;
  const routes: Readonly<Record<string, (request: Request) => unknown>> = {
    'GET status': () => options.status(),
    'GET faults': () => faults.list(),
    'POST faults': (request) => faults.add(bodyObject(request) as unknown as FaultSpec),
    'DELETE faults': (request) => ({ cleared: faults.clear(request.query.get('id') ?? undefined) }),
    'GET settings': () => settings.now(),
    'PATCH settings': (request) => settings.change(bodyObject(request) as SettingsChange),
  };
  return {
    answer(request) {
      if (request.segments[0] !== '_local') return undefined;
      const given = Buffer.from(String(request.headers['x-local-token'] ?? ''));
      const wanted = Buffer.from(options.token);
      if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
        return {
          status: 403,
          body: { code: 'FORBIDDEN', what: 'The token of Local Azure is missing or wrong.' },
        };
      }
      const route = routes[`${request.method} ${request.segments.slice(1).join('/')}`];
      if (route === undefined)
        return { status: 404, body: { code: 'NOT_FOUND', what: 'No such admin request.' } };
      try {
        return { status: 200, body: route(request) };
      } catch (error) {
        if (!isStandbyError(error)) throw error;
        return {
          status: 400,
          body: { code: error.code, what: error.what, next: error.next, message: messageOf(error) },
        };
      }
    },
  };
}

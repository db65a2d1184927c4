import { inputError } from '../../src/errors.ts';
import type { Notice } from '../../src/ports/host.ts';
import type { Fault, FaultSpec } from './faults.ts';

/** `standby local fault add`: what the options say becomes a fault. */
const KINDS: Readonly<Record<string, string>> = {
  throttle: '429',
  html: '503',
  drop: 'drop',
  poll: 'poll',
  slow: 'slow',
};

export function faultFrom(options: Readonly<Record<string, unknown>>): FaultSpec {
  const on = text(options.on);
  if (on === undefined)
    throw inputError(
      'OPTION_MISSING',
      'A fault needs --on.',
      'For example: --on Microsoft.Compute/virtualMachines/write',
    );
  const kind = text(options.kind) ?? 'error';
  if (kind !== 'error' && !(kind in KINDS)) {
    throw inputError(
      'OPTION_INVALID',
      `--kind is one of error, ${Object.keys(KINDS).join(', ')}, not '${kind}'.`,
    );
  }
  const status = count('status', options.status);
  const error = text(options.error) ?? KINDS[kind] ?? (status === undefined ? undefined : String(status));
  if (error === undefined) throw inputError('OPTION_MISSING', 'A fault needs --error, --kind or --status.');
  return compact({
    on,
    error,
    status,
    message: text(options.message),
    times: count('times', options.times),
    after: count('after', options.after),
    retryAfterSeconds: count('retry-after', options.retryAfter),
    delayMs: count('delay-ms', options.delayMs),
  });
}

export function faultTable(faults: readonly Fault[]): Notice {
  return {
    kind: 'table',
    columns: ['Id', 'On', 'Error', 'Left'],
    rows: faults.map((fault) => [fault.id, fault.on, fault.error, String(fault.left)]),
  };
}

function text(value: unknown): string | undefined {
  return value === undefined || value === '' ? undefined : String(value);
}

function count(name: string, value: unknown): number | undefined {
  const given = text(value);
  if (given === undefined) return undefined;
  if (/^\d{1,9}$/.test(given)) return Number(given);
  throw inputError('OPTION_INVALID', `--${name} is a whole number, not '${given}'.`);
}

type Draft = { readonly [Name in keyof FaultSpec]: FaultSpec[Name] | undefined };

function compact(draft: Draft): FaultSpec {
  return Object.fromEntries(
    Object.entries(draft).filter(([, value]) => value !== undefined),
  ) as unknown as FaultSpec;
}

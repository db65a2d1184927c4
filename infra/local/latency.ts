import type { Behaviour } from './arm/behaviour.ts';
import type { OperationShape } from './arm/operation-shape.ts';

/**
 * How long operations take. `none`: as long as the work itself. `quick`: a fiftieth of Azure's time, at most
 * 400 ms. `azure`: the durations and poll intervals seen in recordings of real traffic.
 */
export type LatencyName = 'none' | 'quick' | 'azure';

export interface Latency {
  durationMs(behaviour: Behaviour | undefined, verb: string, shape: OperationShape | undefined): number;
  /** Retry-After of the n-th poll (0 = the first answer). */
  retryAfterSeconds(shape: OperationShape, pollCount: number): number;
  /** A poll waits this long for the end before it answers `InProgress`: keeps tests quick where time is not the subject. */
  readonly holdPollMs: number;
}

/** What the recordings show (medians), by kind of poll URL; behaviours give their own where they know better. */
const USUAL_MS: Readonly<Record<string, number>> = {
  operations: 7000,
  diskoperations: 200,
  asyncoperations: 17_000,
  operationresults: 30_000,
};
const NO_SHAPE_MS = 100;

export function makeLatency(name: LatencyName): Latency {
  const azureMs = (behaviour: Behaviour | undefined, verb: string, shape: OperationShape | undefined) =>
    behaviour?.azureMs?.[verb] ??
    (shape === undefined ? NO_SHAPE_MS : (USUAL_MS[shape.path.toLowerCase()] ?? 1000));
  return {
    durationMs(behaviour, verb, shape) {
      if (name === 'none') return 0;
      const full = azureMs(behaviour, verb, shape);
      return name === 'azure' ? full : Math.min(400, Math.round(full / 50));
    },
    retryAfterSeconds(shape, pollCount) {
      if (name !== 'azure') return 1;
      const kind = shape.path.toLowerCase();
      if (kind === 'diskoperations') return pollCount < 1 ? 1 : 10;
      if (kind === 'operations' && !shape.times) return 10; // Microsoft.Network
      if (kind === 'operations') return pollCount < 4 ? 2 : 30;
      return 15;
    },
    holdPollMs: name === 'azure' ? 0 : 1000,
  };
}

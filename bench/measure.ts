import { childrenOf, cpuSecondsOf, cpuSecondsOfChildren, peakBytesOf } from './processes.ts';
import { type Stage, until } from './stage.ts';

/** What one run cost, up to some moment of it. */
export interface Cost {
  readonly wallMs: number;
  /** Both ends, user and system. */
  readonly cpuSeconds: number;
  /** Absent where the network is not ours alone. */
  readonly wireBytes?: number;
  /** The most memory that any of our engines ever had. */
  readonly peakBytes?: number;
}

export interface Measuring {
  /** Processes that were there before; what the bench starts meanwhile and waits for is counted as well. */
  readonly servers: readonly number[];
  /** Daemons that fork for a connection: their children must be gone before their time is counted. */
  readonly forking?: readonly number[];
  /** Of the servers, those that are ours: their memory is told. */
  readonly engines?: readonly number[];
  /** How often the same bytes cross our wire. */
  readonly hops?: number;
}

/** Runs it with the clocks on; `lap` notes the cost so far under a name, and the end is noted as `end`. */
export async function measure(
  stage: Stage,
  { servers, forking = [], engines = [], hops = 1 }: Measuring,
  act: (lap: (name: string) => void) => Promise<void>,
): Promise<Map<string, Cost>> {
  const costs = new Map<string, Cost>();
  const cpu = () => servers.reduce((sum, pid) => sum + cpuSecondsOf(pid), cpuSecondsOfChildren());
  const [wireBefore, cpuBefore, began] = [stage.network.sentBytes(), cpu(), performance.now()];
  const lap = (name: string) => {
    const wallMs = performance.now() - began;
    const wire = stage.network.sentBytes();
    costs.set(name, {
      wallMs,
      cpuSeconds: cpu() - cpuBefore,
      ...(wire === undefined || wireBefore === undefined ? {} : { wireBytes: (wire - wireBefore) / hops }),
    });
  };
  await act(lap);
  const wallMs = performance.now() - began;
  for (const pid of forking) {
    await until('its children are gone', stage, () => childrenOf(pid).length === 0);
  }
  lap('end');
  const end = costs.get('end');
  const peakBytes = Math.max(0, ...engines.map(peakBytesOf));
  if (end) costs.set('end', { ...end, wallMs, ...(peakBytes > 0 ? { peakBytes } : {}) });
  return costs;
}

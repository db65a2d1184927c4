import { readFileSync } from 'node:fs';
import type { Processes } from './processes.ts';

/**
 * The wire. In a network of our own the loopback carries the bench alone: what its interface counts are the bytes on
 * the wire, headers and acknowledgements of TCP included. In a shared one nothing is counted, and nothing is shaped.
 */
export interface Network {
  readonly kind: 'private' | 'shared';
  /** Bytes that crossed it since the machine knows it; undefined when that is not ours alone. */
  sentBytes(): number | undefined;
  /** Holds everything to this rate until it is told `undefined`. Only in a network of our own. */
  shape(rate: string | undefined): Promise<void>;
}

export function openNetwork(kind: Network['kind'], processes: Processes): Network {
  return {
    kind,
    sentBytes: () => (kind === 'private' ? loopbackBytes() : undefined),
    shape: async (rate) => {
      if (kind === 'shared') throw new Error('a network that others use is not shaped');
      const queue = ['dev', 'lo', 'root'];
      if (rate === undefined) await processes.run('tc', ['qdisc', 'del', ...queue]);
      else {
        const bucket = ['tbf', 'rate', rate, 'burst', '1mb', 'latency', '100ms'];
        await processes.run('tc', ['qdisc', 'add', ...queue, ...bucket]);
      }
    },
  };
}

function loopbackBytes(): number {
  const line = /^\s*lo:\s*(.*)$/m.exec(readFileSync('/proc/self/net/dev', 'utf8'))?.[1] ?? '';
  return Number(line.trim().split(/\s+/)[8]);
}

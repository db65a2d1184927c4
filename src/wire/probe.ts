import { connect } from 'node:net';

/** What one TCP dial tells: `timeout` is what a firewall that drops looks like, `refused` is a machine without a listener. */
export interface PortProbe {
  readonly state: 'open' | 'refused' | 'timeout' | 'unreachable';
  readonly ms: number;
}

export function probePort(address: string, port: number, timeoutMs: number): Promise<PortProbe> {
  return new Promise((resolve) => {
    const startedAt = performance.now();
    const socket = connect({ host: address, port });
    const finish = (state: PortProbe['state']) => {
      socket.destroy();
      resolve({ state, ms: Math.round(performance.now() - startedAt) });
    };
    socket.setTimeout(timeoutMs);
    socket.once('connect', () => finish('open'));
    socket.once('timeout', () => finish('timeout'));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ECONNRESET') finish('refused');
      else finish(error.code === 'ETIMEDOUT' ? 'timeout' : 'unreachable');
    });
  });
}

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { systemClock } from '../../src/clock.ts';

/** A TCP link that can be made bad: cut, stalled, delayed, throttled, or its bytes spoiled. */
export interface BadLink {
  readonly port: number;
  /** Bytes that went from the dialling side to the listening side. */
  carried(): number;
  /** Ends every connection now; new ones still work. */
  cut(): void;
  /** No byte moves while stalled; connections stay up. */
  stall(isStalled: boolean): void;
  /** Refuses new connections while true. */
  refuse(isRefusing: boolean): void;
  delayMs: number;
  /** 0 = as fast as it goes. */
  bytesPerSecond: number;
  /** The next piece of data has one bit turned. */
  corruptNext(): void;
  stop(): Promise<void>;
}

export async function startProxy(targetPort: number): Promise<BadLink> {
  const sockets = new Set<Socket>();
  let carried = 0;
  let isRefusing = false;
  let isCorrupting = false;
  let stalled: PromiseWithResolvers<void> | undefined;

  const pump = async (from: Socket, to: Socket, counts: boolean): Promise<void> => {
    for await (const piece of from as AsyncIterable<Buffer>) {
      await stalled?.promise;
      if (proxy.delayMs > 0) await systemClock.sleep(proxy.delayMs);
      if (proxy.bytesPerSecond > 0) await systemClock.sleep((piece.length * 1000) / proxy.bytesPerSecond);
      if (isCorrupting) {
        isCorrupting = false;
        piece[piece.length >> 1] = (piece[piece.length >> 1] ?? 0) ^ 1;
      }
      if (counts) carried += piece.length;
      if (to.destroyed) return;
      if (!to.write(piece)) await Promise.race([once(to, 'drain'), once(to, 'close')]);
    }
    to.end();
  };

  const server = createServer((near) => {
    if (isRefusing) {
      near.destroy();
      return;
    }
    const far = connect({ host: '127.0.0.1', port: targetPort });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
    pump(near, far, true).catch(() => far.destroy());
    pump(far, near, false).catch(() => near.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const stall = (isStalled: boolean) => {
    stalled?.resolve();
    stalled = isStalled ? Promise.withResolvers<void>() : undefined;
  };
  const proxy: BadLink = {
    port: (server.address() as AddressInfo).port,
    carried: () => carried,
    cut,
    stall,
    refuse: (now) => {
      isRefusing = now;
    },
    delayMs: 0,
    bytesPerSecond: 0,
    corruptNext: () => {
      isCorrupting = true;
    },
    stop: async () => {
      stall(false);
      cut();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}

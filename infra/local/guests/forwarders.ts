import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Log } from '../../../src/log.ts';
import type { Filter } from '../network/security.ts';
import type { Endpoint } from './guest.ts';
import type { Forward } from './guest-host.ts';
import { isAdmitted } from './reachable-ports.ts';

/**
 * The listeners on public IPs. A port listens while the rules could admit somebody and something in the guest
 * answers; each connection is decided by itself, by the rules as they are at that moment. Refused means: closed
 * without a byte. Connections that are there live on when a rule goes, as in Azure.
 */
export interface Planned {
  readonly vmId: string;
  readonly publicIp: string;
  readonly port: number;
  readonly privateIp: string;
  readonly filter: Filter;
  readonly endpoint: Endpoint;
}

export interface Forwarders {
  /** Listens on these and on nothing else. */
  set(planned: readonly Planned[]): Promise<void>;
  list(): readonly Forward[];
  close(): Promise<void>;
}

/** Ports that an ordinary user may not bind (below 1024) or that are taken are found this much higher. */
export const FALLBACK_OFFSET = 20_000;

interface Listener {
  planned: Planned;
  readonly server: Server;
  readonly listenPort: number;
}

const keyOf = (planned: Planned) => `${planned.publicIp}:${planned.port}`;

function listen(server: Server, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(error);
    server.once('error', onError);
    server.listen({ host: address, port, exclusive: true }, () => {
      server.removeListener('error', onError);
      resolve();
    });
  });
}

async function listenNear(server: Server, address: string, port: number): Promise<number> {
  try {
    await listen(server, address, port);
    return port;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    const fallback = port + FALLBACK_OFFSET;
    if (!['EACCES', 'EADDRINUSE'].includes(code) || fallback > 65_535) throw error;
    await listen(server, address, fallback);
    return fallback;
  }
}

/** Whatever ends one side ends the other. */
function join(client: Socket, target: Socket): void {
  client.pipe(target);
  target.pipe(client);
  client.on('error', () => target.destroy());
  target.on('error', () => client.resetAndDestroy());
  client.on('close', () => target.destroy());
  target.on('close', () => client.destroy());
}

export function makeForwarders(log: Log): Forwarders {
  const listeners = new Map<string, Listener>();
  const connections = new Set<Socket>();

  function accept(listener: Listener, client: Socket): void {
    const { filter, privateIp, port, endpoint } = listener.planned;
    const peer = (client.remoteAddress ?? '').replace(/^::ffff:/, '');
    if (!isAdmitted(filter, peer, client.remotePort, privateIp, port)) {
      client.on('error', () => undefined);
      client.resetAndDestroy();
      return;
    }
    connections.add(client);
    client.on('close', () => connections.delete(client));
    join(client, connect({ host: endpoint.address, port: endpoint.hostPort, allowHalfOpen: true }));
  }

  async function add(planned: Planned): Promise<void> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: false });
    try {
      const listenPort = await listenNear(server, planned.publicIp, planned.port);
      const listener: Listener = { planned, server, listenPort };
      server.on('connection', (client) => accept(listener, client));
      server.on('error', (error) =>
        log.warn('a public port failed', { at: keyOf(planned), why: error.message }),
      );
      server.unref();
      listeners.set(keyOf(planned), listener);
    } catch (error) {
      // Somebody else's port: this one stays unreachable, everything else works.
      log.warn('a public port cannot be listened on', { at: keyOf(planned), why: (error as Error).message });
    }
  }

  async function remove(key: string, listener: Listener): Promise<void> {
    listeners.delete(key);
    // Resolves only when its connections are over, too; they may live on.
    listener.server.close();
  }

  return {
    async set(planned) {
      const wanted = new Map(planned.map((entry) => [keyOf(entry), entry]));
      for (const [key, listener] of listeners) {
        const next = wanted.get(key);
        if (next === undefined) await remove(key, listener);
        else listener.planned = next;
      }
      for (const [key, entry] of wanted) if (!listeners.has(key)) await add(entry);
    },
    list: () =>
      [...listeners.values()].map(({ planned, listenPort }) => ({
        vmId: planned.vmId,
        publicIp: planned.publicIp,
        port: planned.port,
        listenPort,
      })),
    async close() {
      for (const [key, listener] of listeners) await remove(key, listener);
      for (const socket of connections) socket.destroy();
    },
  };
}

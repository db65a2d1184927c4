import { chmod, lstat, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../../clock.ts';
import { messageOf, StandbyError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { NbdConnection, type ServedDisk } from './connection.ts';
import { NBD_LIMITS } from './protocol.ts';

/**
 * Serves disks over NBD, on a Unix socket of its owner or on the loopback address. Promises: nobody else than this
 * machine's users of that socket gets in; a client that stays silent in the negotiation is closed. It keeps no state:
 * when it dies, clients reconnect and everything they were told is done is done.
 */
export interface NbdServer {
  /** As a client names an export. */
  uriOf(name: string): string;
  readonly port: number | undefined;
  /** Answers what is under way, then closes all connections. */
  close(): Promise<void>;
}

export type Listen = { readonly path: string } | { readonly port: number };

export async function startNbdServer(options: {
  readonly listen: Listen;
  readonly disks: readonly ServedDisk[];
  readonly clock: Clock;
  readonly log: Log;
}): Promise<NbdServer> {
  const { listen, disks, clock, log } = options;
  const connections = new Set<NbdConnection>();
  const over = new AbortController();
  const server = createServer((socket: Socket) => {
    if (connections.size >= NBD_LIMITS.connections) {
      socket.destroy();
      return;
    }
    socket.setNoDelay(true);
    const connection = new NbdConnection(socket, disks, (reason) => log.debug('nbd client', { reason }));
    connections.add(connection);
    const ended = new AbortController();
    void connection.closed.then(() => {
      connections.delete(connection);
      ended.abort();
    });
    clock.sleep(NBD_LIMITS.negotiationMs, AbortSignal.any([over.signal, ended.signal])).then(
      () => connection.isChosen || socket.destroy(),
      () => undefined, // Closed before that.
    );
  });
  if ('path' in listen) await removeStale(listen.path);
  await listening(server, listen);
  if ('path' in listen) await chmod(listen.path, 0o600);
  const port = 'path' in listen ? undefined : (server.address() as AddressInfo).port;
  return {
    port,
    uriOf: (name) =>
      'path' in listen
        ? `nbd+unix:///${name}?socket=${encodeURI(listen.path)}`
        : `nbd://127.0.0.1:${port}/${name}`,
    close: async () => {
      over.abort();
      const stopped = new Promise((resolve) => server.close(resolve));
      for (const connection of connections) connection.leave();
      await stopped;
    },
  };
}

function listening(server: Server, listen: Listen): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(listen, error)));
    server.listen(
      'path' in listen ? { path: listen.path } : { host: '127.0.0.1', port: listen.port },
      resolve,
    );
  });
}

/** A killed server leaves its socket behind; one that answers is another server's, and stays. */
async function removeStale(path: string): Promise<void> {
  const facts = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!facts) return;
  if (!facts.isSocket()) throw cannotListen({ path }, new Error('Something else than a socket is there.'));
  const answer = await new Promise<'somebody' | 'nobody'>((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve('somebody');
    });
    socket.once('error', () => resolve('nobody'));
  });
  if (answer === 'somebody') throw cannotListen({ path }, new Error('Another server answers there.'));
  await rm(path, { force: true });
}

function cannotListen(listen: Listen, error: unknown): StandbyError {
  const place = 'path' in listen ? listen.path : `port ${listen.port} of the loopback address`;
  return new StandbyError({
    code: 'NBD_CANNOT_LISTEN',
    what: `The disks cannot be served at ${place}.`,
    why: messageOf(error),
    next: 'Stop the other server, or choose another socket or port.',
    cause: error,
  });
}

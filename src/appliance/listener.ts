import type { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import type { Clock } from '../clock.ts';
import { messageOf, StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import { type Identity, roleOfCertificate } from '../wire/certificates.ts';
import { Connection, type Handlers } from '../wire/connection.ts';
import { CIPHERS } from '../wire/dial.ts';
import { ALPN, type Alpn, LIMITS, type Timings } from '../wire/limits.ts';

/**
 * The door of port 25000. Promises: who does not show in time that it belongs here is closed and logged, gets no
 * word from us, and costs a bounded amount of memory, however many come. It keeps no state.
 */
export interface Door {
  /** TLS key and certificate; with `caPem`, peers must show a certificate of that authority. */
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly caPem?: string;
  readonly protocols: readonly Alpn[];
  /** What this peer may ask first. Undefined: nothing, it is a stranger. */
  greet(peer: Peer): Handlers | undefined;
}

export interface Peer {
  readonly socket: TLSSocket;
  readonly alpn: Alpn;
  /** From its certificate; undefined when it has none. */
  readonly identity: Identity | undefined;
  readonly address: string;
}

export interface ListenerOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly timings: Timings;
}

export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** By `address:port` of the peer: who has not shown yet who it is. */
  readonly #unproven = new Map<string, string>();
  readonly #connections = new Set<Connection>();
  #tls: TlsServer | undefined;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    this.#server.maxConnections = LIMITS.connections;
  }

  async listen(host: string, port: number): Promise<{ host: string; port: number }> {
    this.#server.listen({ host, port });
    try {
      await once(this.#server, 'listening');
    } catch (error) {
      throw new StandbyError({
        code: 'PORT_TAKEN',
        what: `The engine cannot listen on ${host}:${port}.`,
        why: messageOf(error),
        next: 'Is another engine running here? Stop it, or name another port.',
      });
    }
    const address = this.#server.address() as AddressInfo;
    return { host: address.address, port: address.port };
  }

  /** Connections that come from now on meet this door; those that are in stay. */
  open(door: Door): void {
    const server = createTlsServer({
      cert: door.certificatePem,
      key: door.keyPem,
      ...(door.caPem ? { ca: door.caPem, requestCert: true } : {}),
      // Masters that join have no certificate yet, so the handshake itself lets them in; `#greet` closes everybody
      // who comes with another protocol and without an authorised certificate before a byte is read.
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
      ciphers: CIPHERS,
      ALPNProtocols: [...door.protocols],
      handshakeTimeout: this.#options.timings.handshakeMs,
    });
    server.on('tlsClientError', (error, socket) =>
      this.#refuse(socket, `handshake failed: ${messageOf(error)}`),
    );
    server.on('secureConnection', (socket) => this.#greet(door, socket));
    this.#tls = server;
  }

  async close(reason: string): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    const connections = [...this.#connections];
    for (const connection of connections) connection.close(reason);
    await Promise.all(connections.map((connection) => connection.closed));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    const { remoteAddress: address = 'nowhere' } = socket;
    const sameAddress = [...this.#unproven.values()].filter((other) => other === address).length;
    if (
      !this.#tls ||
      this.#unproven.size >= LIMITS.unprovenConnections ||
      sameAddress >= LIMITS.unprovenFromOneAddress
    ) {
      this.#options.log.warn('connection refused', {
        from: address,
        reason: 'too many that did not show who they are',
      });
      socket.destroy();
      return;
    }
    const key = keyOf(socket);
    this.#sockets.add(socket);
    this.#unproven.set(key, address);
    // The TLS layer reports errors of its own; this one is for a socket that dies before TLS has it.
    socket.on('error', (error) =>
      this.#options.log.debug('socket failed', { from: address, error: messageOf(error) }),
    );
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#unproven.delete(key);
    });
    this.#tls.emit('connection', socket);
  }

  #greet(door: Door, socket: TLSSocket): void {
    const alpn = door.protocols.find((protocol) => protocol === socket.alpnProtocol);
    const certificate = socket.getPeerX509Certificate();
    const trusted = socket.authorized && !socket.isSessionReused();
    const identity = trusted && certificate ? roleOfCertificate(certificate) : undefined;
    const problem = !alpn
      ? 'it named no protocol of ours'
      : alpn === ALPN.engines && !identity
        ? strangerReason(socket, certificate)
        : undefined;
    if (problem || !alpn) {
      this.#refuse(socket, problem ?? '');
      return;
    }
    const address = socket.remoteAddress ?? 'nowhere';
    const handlers = door.greet({ socket, alpn, identity, address });
    if (!handlers) {
      this.#refuse(socket, `a ${identity?.role ?? 'stranger'} may not come in here`);
      return;
    }
    this.#serve(
      socket,
      identity ? `${identity.role} ${identity.id} from ${address}` : `stranger from ${address}`,
      handlers,
    );
  }

  #serve(socket: TLSSocket, name: string, handlers: Handlers): void {
    const key = keyOf(socket);
    const { log } = this.#options;
    const connection = new Connection(socket, { ...this.#options, name, proven: false, handlers });
    this.#connections.add(connection);
    connection.onProven(() => this.#unproven.delete(key));
    void connection.closed.then((reason) => {
      this.#connections.delete(connection);
      if (connection.isProven) log.info('connection ended', { peer: name, reason });
      else log.warn('connection refused', { peer: name, reason });
    });
  }

  #refuse(socket: TLSSocket, reason: string): void {
    this.#options.log.warn('connection refused', { from: socket.remoteAddress ?? 'nowhere', reason });
    socket.on('error', (error) => this.#options.log.debug('socket failed', { error: messageOf(error) }));
    socket.destroy();
  }
}

function keyOf(socket: Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}

function strangerReason(socket: TLSSocket, certificate: X509Certificate | undefined): string {
  if (!certificate) return 'it has no certificate';
  if (!socket.authorized) return `its certificate is refused: ${String(socket.authorizationError)}`;
  return 'its certificate names nobody';
}

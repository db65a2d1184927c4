import { X509Certificate } from 'node:crypto';
import { removeStateFile } from '../block/state-file.ts';
import type { Clock } from '../clock.ts';
import { isStandbyError, StandbyError } from '../errors.ts';
import { type Log, silentLog } from '../log.ts';
import type { MasterInventory, MasterNic } from '../model/disk.ts';
import {
  assertCredentials,
  makeKeyAndRequest,
  roleOfCertificate,
  sha256OfCertificate,
} from '../wire/certificates.ts';
import { Connection } from '../wire/connection.ts';
import { dialToJoin, dialUnproven } from '../wire/dial.ts';
import { inventorySchema } from '../wire/inventory.ts';
import { type JoinToken, parseJoinToken, proofOfJoin, sha256 } from '../wire/join-token.ts';
import { ALPN, TIMINGS } from '../wire/limits.ts';
import type { Result } from '../wire/messages.ts';
import {
  joiningPath,
  type MasterIdentity,
  readJoining,
  readMasterIdentity,
  writeJoining,
  writeMasterIdentity,
} from './identity.ts';
import { takeInventory } from './inventory.ts';
import type { WindowsTools } from './windows/powershell.ts';

/**
 * A master gets its certificate with a one-time token. Promises: the key never leaves this machine; nothing is sent
 * before the appliance showed that it belongs to the token's authority. Dies at any line: the same command with the
 * same token goes on (same key, same request), and after the end it finds that all is done.
 */
export interface JoinOptions {
  readonly tokenText: string;
  /** None, on Windows: every disk that is the server's own. */
  readonly diskPaths: readonly string[];
  readonly windows?: WindowsTools;
  readonly hostName?: string;
  readonly nics?: readonly MasterNic[];
  readonly stateFolder: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Called once the appliance has the request and control has to grant it. */
  readonly onWaiting?: () => void;
}

const WAIT_MS = 15_000;
type Granted = Extract<Result<'join'>, { state: 'granted' }>;

export async function joinMaster(
  options: JoinOptions,
): Promise<{ masterId: string; inventory: MasterInventory }> {
  const token = parseJoinToken(options.tokenText);
  const before = await readMasterIdentity(options.stateFolder);
  if (before?.tokenId === token.tokenId) return { masterId: before.masterId, inventory: before.inventory };
  const inventory = await takeInventory(options);
  const kept = await readJoining(options.stateFolder);
  const joining =
    kept?.tokenId === token.tokenId ? kept : { tokenId: token.tokenId, ...(await makeKeyAndRequest()) };
  await writeJoining(options.stateFolder, joining);

  const { caPem, applianceId } = await readAuthority(options, token);
  const granted = await waitForGrant(options, token, caPem, joining.requestPem, inventory);
  const { masterId, certificatePem } = granted;
  const { keyPem } = joining;
  assertCredentials({ certificatePem, keyPem, caPem }, { role: 'master', id: masterId });
  const appliance = { id: applianceId, address: token.address, port: token.port };
  const { tokenId } = token;
  const onWire = inventorySchema.parse(inventory);
  const identity: MasterIdentity = {
    masterId,
    tokenId,
    appliance,
    certificatePem,
    keyPem,
    caPem,
    inventory: onWire,
  };
  await writeMasterIdentity(options.stateFolder, identity);
  await removeStateFile(joiningPath(options.stateFolder));
  return { masterId, inventory };
}

/**
 * The token names the authority by its SHA-256 only. This first connection is not checked by TLS, and need not be:
 * nothing is sent on it, and the certificate it yields is taken only when its SHA-256 is the token's. The next
 * connection is checked by TLS against it.
 */
async function readAuthority(
  options: JoinOptions,
  token: JoinToken,
): Promise<{ caPem: string; applianceId: string }> {
  const socket = await dialUnproven({ ...token, clock: options.clock }, ALPN.join).catch((error: unknown) => {
    throw isStandbyError(error) && error.code === 'PROTOCOL_REFUSED' ? notReady(token, error) : error;
  });
  try {
    const leaf = socket.getPeerCertificate(true);
    const authority = leaf.issuerCertificate?.raw;
    const caPem = authority ? new X509Certificate(authority).toString() : undefined;
    const identity = roleOfCertificate(new X509Certificate(leaf.raw));
    if (!caPem || sha256OfCertificate(caPem) !== token.caSha256 || identity?.role !== 'appliance') {
      throw new StandbyError({
        code: 'APPLIANCE_WRONG',
        what: `What answers at ${token.address}:${token.port} is not the appliance this token was made for.`,
        why: 'Its certificate authority is another one.',
        next: 'Check the address, and that no proxy opens TLS on the way; then make a new token.',
      });
    }
    return { caPem, applianceId: identity.id };
  } finally {
    socket.on('error', () => undefined); // It is being thrown away.
    socket.destroy();
  }
}

async function waitForGrant(
  options: JoinOptions,
  token: JoinToken,
  caPem: string,
  requestPem: string,
  inventory: MasterInventory,
): Promise<Granted> {
  const { clock, signal, log } = options;
  const onWire = inventorySchema.parse(inventory);
  const proof = proofOfJoin(token.secret, { requestPem, inventory: onWire });
  const tokenSha256 = sha256(token.secret);
  const params = {
    tokenId: token.tokenId,
    tokenSha256,
    requestPem,
    proof,
    inventory: onWire,
  };
  let isTold = false;
  for (;;) {
    signal.throwIfAborted();
    const connection = await dial(options, token, caPem);
    const stop = () => connection.close('the join was stopped');
    signal.addEventListener('abort', stop, { once: true });
    try {
      for (;;) {
        const waitMs = isTold ? WAIT_MS : 0;
        const answer = await connection.request('join', { ...params, waitMs }, WAIT_MS + TIMINGS.requestMs);
        if (answer.state === 'granted') return answer;
        if (!isTold) options.onWaiting?.();
        isTold = true;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!isTold && isStandbyError(error) && error.code === 'CONNECTION_LOST')
        throw tokenRefused(token, error);
      if (!isStandbyError(error) || error.retry !== 'later') throw error;
      log.warn('the appliance is away; the join goes on when it is back', { reason: error.message });
      await clock.sleep(TIMINGS.reconnectMinMs, signal);
    } finally {
      signal.removeEventListener('abort', stop);
      connection.close('the join is over');
    }
  }
}

async function dial(
  { clock, signal, log }: JoinOptions,
  token: JoinToken,
  caPem: string,
): Promise<Connection> {
  const name = `the appliance at ${token.address}:${token.port}`;
  for (let failures = 0; ; failures++) {
    try {
      const socket = await dialToJoin({ ...token, clock }, caPem);
      return new Connection(socket, {
        name,
        clock,
        log: silentLog,
        timings: TIMINGS,
        proven: true,
        handlers: {},
      });
    } catch (error) {
      if (!isStandbyError(error) || error.retry !== 'later' || failures >= 20) throw error;
      log.warn('the appliance is not reached', { reason: error.message });
      await clock.sleep(Math.min(TIMINGS.reconnectMaxMs, TIMINGS.reconnectMinMs * 2 ** failures), signal);
    }
  }
}

function notReady(token: JoinToken, cause: unknown): StandbyError {
  return new StandbyError({
    code: 'APPLIANCE_NOT_ENROLLED',
    what: `The appliance at ${token.address}:${token.port} takes no masters yet.`,
    why: 'Control has not given it a certificate.',
    next: 'Run `standby appliance check` on control, then join again.',
    retry: 'later',
    cause,
  });
}

function tokenRefused(token: JoinToken, cause: unknown): StandbyError {
  return new StandbyError({
    code: 'TOKEN_REFUSED',
    what: `The appliance at ${token.address}:${token.port} does not know this token.`,
    why: 'It was made for another appliance, or long ago, or the connection was cut.',
    next: 'Try again; if it stays so, run `standby master token` on control and join with the new one.',
    cause,
  });
}

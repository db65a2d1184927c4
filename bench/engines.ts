import { randomUUID } from 'node:crypto';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../src/clock.ts';
import { silentLog } from '../src/log.ts';
import { joinMaster } from '../src/master/join.ts';
import {
  type Authority,
  makeKeyAndRequest,
  sha256OfCertificate,
  signRequest,
} from '../src/wire/certificates.ts';
import { connectControl } from '../src/wire/control-client.ts';
import type { ControlSession, CopyProgress } from '../src/wire/control-session.ts';
import { enrolAppliance } from '../src/wire/enrol-client.ts';
import { makeJoinToken, verifyJoinProof } from '../src/wire/join-token.ts';
import type { Running } from './processes.ts';
import { type Stage, until } from './stage.ts';

/**
 * Standby as it is used: one process for the appliance's engine, one for each master's, mutual TLS between them, and the
 * bench as control. Nothing of it is made easier than in a real set-up.
 */
const MAIN = join(import.meta.dirname, '../src/main.ts');
const READY_MS = 20_000;

export interface Appliance {
  readonly engine: Running;
  readonly port: number;
  readonly control: ControlSession;
  readonly authority: Authority;
  readonly folder: string;
  end(): Promise<void>;
}

export async function startAppliance(stage: Stage, folder: string, authority: Authority): Promise<Appliance> {
  const applianceId = `app-${randomUUID()}`;
  const token = randomUUID() + randomUUID();
  await mkdir(join(folder, 'luns'), { recursive: true });
  const enrolFile = join(folder, 'enrol.json');
  const caSha256 = sha256OfCertificate(authority.certificatePem);
  await writeFile(enrolFile, JSON.stringify({ applianceId, token, caSha256 }), { mode: 0o600 });
  const state = ['--state', join(folder, 'appliance'), '--enrol', enrolFile, '--luns', join(folder, 'luns')];
  const engine = startEngine(stage, folder, ['appliance', ...state, '--listen', '127.0.0.1:0']);
  const listens = /"port":(\d+)/;
  await until(`the appliance listens: ${engine.said()}`, stage, () => listens.test(engine.said()), READY_MS);
  const port = Number(listens.exec(engine.said())?.[1]);
  const at = { address: '127.0.0.1', port, clock: systemClock, applianceId };
  await enrolAppliance({ ...at, token, authority, addresses: ['127.0.0.1'] });
  const { keyPem, requestPem } = await makeKeyAndRequest();
  const uri = 'standby:control:bench';
  const certificatePem = await signRequest({ authority, requestPem, uri, days: 2 });
  const credentials = { keyPem, certificatePem, caPem: authority.certificatePem };
  const control = await connectControl({ ...at, credentials });
  const end = async () => {
    await control.close();
    await engine.stop();
  };
  return { engine, port, control, authority, folder, end };
}

/** A data disk of the appliance is a file at some other place. */
export async function attachLun({ folder }: Appliance, lun: number, path: string): Promise<void> {
  await symlink(path, join(folder, 'luns', `lun${lun}`));
}

export interface MasterStart {
  readonly masterId: string;
  readonly disks: readonly string[];
  /** More words for `standby engine master`. */
  readonly args?: readonly string[];
}

/** Joined and connected. */
export async function startMaster(stage: Stage, appliance: Appliance, start: MasterStart): Promise<Running> {
  const { control, authority, port, folder } = appliance;
  const { masterId } = start;
  const stateFolder = join(folder, masterId);
  const caSha256 = sha256OfCertificate(authority.certificatePem);
  const { tokenId, tokenSha256, text } = makeJoinToken({ address: '127.0.0.1', port, caSha256 });
  await control.offerJoin({ tokenId, tokenSha256, expiresAtMs: systemClock.now() + 60_000 });
  const waiting = Promise.withResolvers<void>();
  const joined = joinMaster({
    tokenText: text,
    diskPaths: start.disks,
    hostName: masterId,
    stateFolder,
    clock: systemClock,
    log: silentLog,
    signal: AbortSignal.any([stage.signal, AbortSignal.timeout(READY_MS)]),
    onWaiting: () => waiting.resolve(),
  });
  await Promise.race([waiting.promise, joined]);
  const pending = (await control.pendingJoins()).find((one) => one.tokenId === tokenId);
  if (!pending || !verifyJoinProof(text, pending)) throw new Error(`${masterId} did not show who it is`);
  const uri = `standby:master:${masterId}`;
  const certificatePem = await signRequest({ authority, requestPem: pending.requestPem, uri, days: 2 });
  await control.grantJoin({ tokenId, masterId, certificatePem });
  await joined;
  const engine = startEngine(stage, folder, ['master', '--state', stateFolder, ...(start.args ?? [])]);
  for (;;) {
    stage.signal.throwIfAborted();
    if ((await control.masters()).some((one) => one.masterId === masterId && one.connected)) return engine;
    await systemClock.sleep(20);
  }
}

function startEngine(stage: Stage, folder: string, args: readonly string[]): Running {
  const env = { STANDBY_HOME: join(folder, 'home'), STANDBY_LOG_LEVEL: 'info', STANDBY_LISTEN: '' };
  return stage.processes.start(process.execPath, [MAIN, 'engine', ...args], { env });
}

/** Waits until the copy is in one of these states; a failed one is told with its words. */
export async function untilState(
  stage: Stage,
  control: ControlSession,
  scenarioId: string,
  isThere: (progress: CopyProgress) => boolean,
): Promise<CopyProgress> {
  for (;;) {
    stage.signal.throwIfAborted();
    const progress = await control.progress(scenarioId, 1_000);
    if (isThere(progress)) return progress;
    if (progress.state === 'failed' || progress.state === 'resync-needed') {
      const { code, what, why } = progress.error ?? {};
      throw new Error(`the copy is ${progress.state}: ${code} ${what} ${why ?? ''}`);
    }
  }
}

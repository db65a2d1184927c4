import { randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../../src/clock.ts';
import { StandbyError } from '../../src/errors.ts';
import type { Log } from '../../src/log.ts';
import { makeAdmin } from './admin.ts';
import { answerArm, answerOfFault } from './arm/arm.ts';
import type { ArmContext } from './arm/behaviour.ts';
import type { Core } from './arm/core.ts';
import { makeGraph } from './arm/graph.ts';
import { makeGroupStore } from './arm/groups.ts';
import { makeOperations } from './arm/operations.ts';
import { makePerformer } from './arm/performer.ts';
import { makePolls } from './arm/polls.ts';
import { makeProviderStore } from './arm/providers.ts';
import { makeRbac, type Rbac } from './arm/rbac.ts';
import { makeRegistry } from './arm/registry.ts';
import { type BlobService, makeBlobService, noBlobs } from './blob-service.ts';
import { ensureCertificates, type ServerCertificate } from './certificates.ts';
import { type Directory, ensureDirectory } from './directory.ts';
import { makeEntra } from './entra.ts';
import type { Request, Response } from './exchange.ts';
import { type FaultBoard, makeFaultBoard } from './faults.ts';
import { type FileUrls, makeFileUrls } from './file-urls.ts';
import { writeDurably } from './files.ts';
import type { GuestHost } from './guests/guest-host.ts';
import { type LatencyName, makeLatency } from './latency.ts';
import { startListener } from './listener.ts';
import { makeRateLimits } from './rate-limits.ts';
import { makeRequestLog } from './request-log.ts';
import { seed } from './seed.ts';
import { DEFAULT_LOCATION, makeSettings, type Settings } from './settings.ts';
import { openState, type State } from './state.ts';
import { makeTokenIssuer } from './tokens.ts';

/**
 * Local Azure: Entra, Azure Resource Manager and blobs on loopback, over HTTPS with a certificate authority of its
 * own. It runs inside of any process (tests) or as a daemon (`standby local up`).
 *
 * Promise: everything a client was told is durable. Killed at any line, the next start on the same folder has the
 * same port, authority, keys, tokens and resources; operations in flight go on; poll URLs stay valid.
 */
export interface LocalAzure {
  readonly endpoint: LocalEndpoint;
  readonly faults: FaultBoard;
  readonly settings: Settings;
  /** Who may sign in: tests read the expired secret here. */
  readonly directory: Directory;
  /** Which actions were asked for and allowed. */
  readonly rbac: Pick<Rbac, 'seen' | 'forget'>;
  stop(): Promise<void>;
}

/** The content of endpoint.json, which lies in the folder (0600) while Local Azure is up. */
export interface LocalEndpoint {
  readonly url: string;
  readonly authorityUrl: string;
  readonly caFile: string;
  readonly subscriptionId: string;
  readonly tenantId: string;
  readonly applicationId: string;
  readonly clientSecret: string;
  readonly location: string;
}

export interface LocalAzureOptions {
  readonly folder: string;
  readonly guests: 'qemu' | 'none';
  readonly latency: LatencyName;
  /** Counts at the folder's first start only; later the port stays what it was. */
  readonly port?: number;
  /** `none`: storage accounts exist, but nothing serves their blobs. The default is Azurite. */
  readonly blobs?: 'azurite' | 'none';
  /** Append every exchange with Azure Resource Manager to this file, secrets taken out. */
  readonly requestLogFile?: string;
  /** The same into a new file of this folder: many Local Azures of one test run write there. */
  readonly trafficFolder?: string;
  readonly log: Log;
  readonly clock: Clock;
}

export async function startLocalAzure(options: LocalAzureOptions): Promise<LocalAzure> {
  const folder = path.resolve(options.folder);
  const state = openState(folder);
  const parts: (() => Promise<void> | void)[] = [() => state.close()];
  const stop = async () => {
    for (const part of parts.splice(0).reverse()) await part();
  };
  try {
    return await startParts(options, folder, state, parts, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startParts(
  options: LocalAzureOptions,
  folder: string,
  state: State,
  parts: (() => Promise<void> | void)[],
  stop: () => Promise<void>,
): Promise<LocalAzure> {
  const { clock, log } = options;
  const nowMs = () => clock.now();
  const dataFolder = path.join(folder, 'data');
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 });
  const certificate = await ensureCertificates(folder, nowMs());
  const directory = ensureDirectory(folder, nowMs());
  const settings = makeSettings(state, directory);
  const faults = makeFaultBoard(state);
  const door = await openDoor(options, state, certificate);
  parts.push(() => door.close());
  const { baseUrl } = door;
  const blobs =
    options.blobs === 'none'
      ? noBlobs
      : makeBlobService({ state, folder: path.join(folder, 'blobs'), certificate, clock, log });
  parts.push(() => blobs.stop());
  const files = makeFileUrls({ baseUrl, dataFolder, secret: secretOf(state), nowMs });
  const { core, guests } = await makeCore({
    options,
    folder,
    dataFolder,
    state,
    baseUrl,
    certificate,
    directory,
    settings,
    faults,
    blobs,
    files,
  });
  parts.push(() => guests.stopAll());
  parts.push(() => core.operations.stop());
  const tokens = makeTokenIssuer({ state, tenantId: directory.tenantId, authorityUrl: baseUrl, nowMs });
  const entra = makeEntra({
    baseUrl,
    directory,
    tokens,
    nowMs,
    lifetimeSeconds: () => settings.now().tokenLifetimeSeconds,
  });
  const admin = makeAdmin({
    token: ensureAdminToken(folder),
    faults,
    settings,
    status: () => statusOf(core, options),
  });
  await blobs.resume();
  await seed(core);
  await guests.resume();
  core.operations.resume();
  door.open(async (request) => {
    const special =
      admin.answer(request) ?? files.answer(request) ?? answerEntra(entra.answer, faults, request);
    return special ?? answerArm(core, tokens, request);
  });
  const endpoint = makeEndpoint(baseUrl, certificate, directory);
  const endpointFile = path.join(folder, 'endpoint.json');
  writeDurably(endpointFile, `${JSON.stringify(endpoint, null, 2)}\n`, 0o600);
  parts.push(() => rmSync(endpointFile, { force: true }));
  // Nobody comes in any more before the rest ends.
  parts.push(() => door.close());
  return { endpoint, faults, settings, directory, rbac: core.rbac, stop };
}

interface Door {
  readonly baseUrl: string;
  open(answer: (request: Request) => Promise<Response>): void;
  close(): Promise<void>;
}

/** The port is part of every URL, so the listener comes first; requests wait until the rest is there. */
async function openDoor(
  options: LocalAzureOptions,
  state: State,
  certificate: ServerCertificate,
): Promise<Door> {
  const { log } = options;
  const nowMs = () => options.clock.now();
  const kept = state.getDocument<number>('port');
  requireSamePort(kept, options.port);
  const ready = Promise.withResolvers<(request: Request) => Promise<Response>>();
  const listener = await startListener({
    certificate,
    port: kept ?? options.port ?? 0,
    answer: async (request) => (await ready.promise)(request),
    rateLimits: makeRateLimits(nowMs),
    requestLogs: requestLogsOf(options),
    log,
    nowMs,
  });
  state.setDocument('port', listener.port);
  return { baseUrl: `https://127.0.0.1:${listener.port}`, open: ready.resolve, close: () => listener.stop() };
}

function requestLogsOf({ requestLogFile, trafficFolder }: LocalAzureOptions) {
  const files = requestLogFile === undefined ? [] : [requestLogFile];
  if (trafficFolder !== undefined) files.push(path.join(trafficFolder, `${randomUUID()}.jsonl`));
  return files.map(makeRequestLog);
}

/** Sign-in can be spoilt too: its action is `Entra/token`. */
function answerEntra(
  answer: (request: Request) => Response | undefined,
  faults: FaultBoard,
  request: Request,
): Response | undefined {
  const isToken =
    request.method === 'POST' && /\/token$/i.test(request.path) && !/^\/subscriptions\//i.test(request.path);
  const fault = isToken
    ? faults.take('Entra/token', (each) => each.error !== 'poll' && each.error !== 'slow')
    : undefined;
  if (fault === undefined) return answer(request);
  if (!/^[a-z]+_/.test(fault.error)) return answerOfFault(fault, request.method);
  // Entra's own shape for Entra's own words (`temporarily_unavailable`).
  const text = fault.message ?? 'A fault of Local Azure, on order.';
  return {
    status: fault.status ?? 400,
    body: { error: fault.error, error_description: text, error_codes: [] },
  };
}

interface Making {
  readonly options: LocalAzureOptions;
  readonly folder: string;
  readonly dataFolder: string;
  readonly state: State;
  readonly baseUrl: string;
  readonly certificate: ServerCertificate;
  readonly directory: Directory;
  readonly settings: Settings;
  readonly faults: FaultBoard;
  readonly blobs: BlobService;
  readonly files: FileUrls;
}

async function makeCore(making: Making): Promise<{ core: Core; guests: GuestHost }> {
  const { options, state, baseUrl, settings, directory, faults } = making;
  const { clock, log } = options;
  const graph = makeGraph(state, clock);
  const { behaviours, providerRoutes } = await import('./behaviours/index.ts');
  const { makeGuestHost } = await import('./guests/index.ts');
  const runFolder = path.join(making.folder, 'run');
  mkdirSync(runFolder, { recursive: true, mode: 0o700 });
  const guests = await makeGuestHost({
    kind: options.guests,
    graph,
    dataFolder: making.dataFolder,
    runFolder,
    caFile: making.certificate.caFile,
    clock,
    log,
  });
  const registry = makeRegistry(behaviours, providerRoutes);
  const latency = makeLatency(options.latency);
  const operations = makeOperations({ state, clock, log, performer: () => performer });
  const context: ArmContext = {
    graph,
    clock,
    log,
    get settings() {
      return settings.now();
    },
    dataFolder: making.dataFolder,
    guests,
    storage: making.blobs,
    fileUrl: (file, expiresAtMs) => making.files.urlOf(file, expiresAtMs),
    newGuid: () => randomUUID(),
  };
  const { subscriptionId } = directory;
  const core: Core = {
    baseUrl,
    state,
    registry,
    context,
    graph,
    groups: makeGroupStore(state),
    providers: makeProviderStore({
      state,
      registry,
      subscriptionId,
      nowMs: () => clock.now(),
      registrationMs: options.latency === 'azure' ? 20_000 : 0,
    }),
    operations,
    polls: makePolls({
      baseUrl,
      subscriptionId,
      secret: secretOf(state),
      operations,
      latency,
      faults,
      clock,
    }),
    latency,
    faults,
    rbac: makeRbac(() => settings.now()),
  };
  const performer = makePerformer(core);
  return { core, guests };
}

function requireSamePort(kept: number | undefined, wanted: number | undefined): void {
  if (kept === undefined || wanted === undefined || wanted === 0 || wanted === kept) return;
  throw new StandbyError({
    code: 'PORT_FIXED',
    what: `This Local Azure listens on port ${kept} and cannot move to ${wanted}.`,
    why: 'Its port is part of URLs that clients keep.',
    next: 'Leave the port out, or start anew: standby local wipe',
    kind: 'input',
  });
}

/** Signs poll URLs and file URLs; kept, so that they outlive a restart. */
function secretOf(state: State): Buffer {
  const kept = state.getDocument<string>('url-secret') ?? randomBytes(32).toString('base64');
  state.setDocument('url-secret', kept);
  return Buffer.from(kept, 'base64');
}

export const ADMIN_TOKEN_FILE = 'admin.token';

function ensureAdminToken(folder: string): string {
  const file = path.join(folder, ADMIN_TOKEN_FILE);
  if (!existsSync(file)) writeDurably(file, randomBytes(32).toString('base64url'), 0o600);
  chmodSync(file, 0o600);
  return readFileSync(file, 'utf8').trim();
}

function makeEndpoint(baseUrl: string, certificate: ServerCertificate, directory: Directory): LocalEndpoint {
  const application = directory.applications[0];
  const secret = application?.secrets[0];
  if (application === undefined || secret === undefined) {
    throw new StandbyError({
      code: 'DIRECTORY_INVALID',
      what: 'directory.json has no application with a secret.',
    });
  }
  return {
    url: baseUrl,
    authorityUrl: baseUrl,
    caFile: certificate.caFile,
    subscriptionId: directory.subscriptionId,
    tenantId: directory.tenantId,
    applicationId: application.applicationId,
    clientSecret: secret.value,
    location: DEFAULT_LOCATION,
  };
}

function statusOf(core: Core, options: LocalAzureOptions) {
  const resources: Record<string, number> = {};
  for (const resource of core.graph.all({ nested: false })) {
    resources[resource.type] = (resources[resource.type] ?? 0) + 1;
  }
  return {
    url: core.baseUrl,
    guests: options.guests,
    latency: options.latency,
    resourceGroups: core.groups.list().map((group) => group.name),
    resources,
    faults: core.faults.list().length,
    forwards: core.context.guests.forwards(),
  };
}

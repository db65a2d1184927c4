import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../../src/clock.ts';
import { inputError, StandbyError } from '../../src/errors.ts';
import type { Host } from '../../src/ports/host.ts';
import { askDaemon } from './admin-client.ts';
import { environmentOf } from './client-environment.ts';
import { type DaemonRecord, livingDaemon, removeRecord } from './daemon-record.ts';
import { faultFrom, faultTable } from './fault-options.ts';
import type { Fault } from './faults.ts';
import { endLeftGuests } from './left-guests.ts';
import type { LocalEndpoint } from './local-azure.ts';
import { endProcess } from './processes.ts';
import { startDaemon } from './start-daemon.ts';

/**
 * The verbs of `standby local`. Each may be killed at any line and repeated: `up` finds a daemon that runs, `down`
 * ends what is left, `wipe` removes only what nobody uses.
 */
export interface LocalCall {
  readonly verb: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Of the fault to clear. */
  readonly args?: readonly string[];
  readonly homeFolder: string;
  readonly host: Host;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** What the daemon inherits. */
  readonly environment: NodeJS.ProcessEnv;
}

type Verb = (call: LocalCall, folder: string) => Promise<unknown>;

const VERBS: Readonly<Record<string, Verb>> = {
  up,
  down,
  status,
  wipe,
  env,
  'fault-add': addFault,
  'fault-list': listFaults,
  'fault-clear': clearFaults,
};

/** Answers the document that `--json` prints. */
export async function runLocalCommand(call: LocalCall): Promise<unknown> {
  const verb = VERBS[call.verb];
  if (verb === undefined) {
    throw inputError(
      'VERB_UNKNOWN',
      `Local Azure has no verb '${call.verb}'.`,
      Object.keys(VERBS).join(', '),
    );
  }
  return verb(call, path.join(call.homeFolder, 'local-azure'));
}

function say(call: LocalCall, level: 'info' | 'success' | 'warning', text: string): void {
  call.host.tell({ kind: 'text', level, text });
}

async function up(call: LocalCall, folder: string): Promise<unknown> {
  const running = livingDaemon(folder);
  const daemon = running ?? (await startDaemon(call, folder));
  const words = `at ${daemon.url} (guests: ${daemon.guests}, latency: ${daemon.latency})`;
  say(call, 'success', running ? `Local Azure is already up ${words}.` : `Local Azure is up ${words}.`);
  const { clientSecret: _clientSecret, ...endpoint } = readEndpoint(folder);
  tellAccount(call, endpoint);
  return {
    up: true,
    already: running !== undefined,
    ...endpoint,
    guests: daemon.guests,
    latency: daemon.latency,
  };
}

/** What a person needs to go on by hand; the secret stays in the place that is asked for it. */
function tellAccount(call: LocalCall, endpoint: Omit<LocalEndpoint, 'clientSecret'>): void {
  call.host.tell({
    kind: 'table',
    title: 'Its account, as `standby account add` or the menu asks for it:',
    columns: ['question', 'answer'],
    rows: [
      ['Azure cloud', 'Another cloud, by URL (custom)'],
      ['Resource Manager URL', endpoint.url],
      ['Sign-in (authority) URL', endpoint.authorityUrl],
      ['CA certificate file (PEM)', endpoint.caFile],
      ['Subscription ID', endpoint.subscriptionId],
      ['Tenant ID', endpoint.tenantId],
      ['Application ID', endpoint.applicationId],
      ['Client secret (value)', 'see AZURE_CLIENT_SECRET of `standby local env`'],
    ],
  });
}

async function down(call: LocalCall, folder: string): Promise<unknown> {
  const running = livingDaemon(folder);
  if (running !== undefined) await endProcess(running, call.clock, 30_000);
  // After a kill -9 of the daemon its guests may still be there.
  const guests = await endLeftGuests(path.join(folder, 'run'), call.clock);
  removeRecord(folder);
  await rm(path.join(folder, 'endpoint.json'), { force: true });
  const text =
    running !== undefined || guests > 0 ? 'Local Azure is down; its state stays.' : 'Local Azure was not up.';
  say(call, 'success', text);
  return { up: false, was: running !== undefined };
}

async function status(call: LocalCall, folder: string): Promise<unknown> {
  const daemon = livingDaemon(folder);
  if (daemon === undefined) {
    const kept = existsSync(path.join(folder, 'state.sqlite'));
    say(call, 'info', kept ? 'Local Azure is down; it has state.' : 'Local Azure is down and has no state.');
    return { up: false, state: kept };
  }
  const facts = (await askDaemon(folder, daemon.url, 'GET', 'status')) as Readonly<Record<string, unknown>>;
  const resources = Object.entries(facts.resources as Readonly<Record<string, number>>);
  say(
    call,
    'info',
    `Local Azure is up at ${daemon.url} (guests: ${daemon.guests}, latency: ${daemon.latency}).`,
  );
  const rows = resources.map(([type, count]) => [type, String(count)]);
  if (rows.length > 0) call.host.tell({ kind: 'table', columns: ['Resource type', 'Count'], rows });
  const forwards = facts.forwards as readonly { publicIp: string; port: number; listenPort: number }[];
  if (forwards.length > 0) {
    call.host.tell({
      kind: 'table',
      title: 'Reachable from outside',
      columns: ['Public IP', 'Port', 'Listens on'],
      rows: forwards.map((forward) => [forward.publicIp, String(forward.port), String(forward.listenPort)]),
    });
  }
  return { up: true, pid: daemon.pid, ...facts };
}

async function wipe(call: LocalCall, folder: string): Promise<unknown> {
  if (livingDaemon(folder) !== undefined) {
    throw inputError(
      'LOCAL_AZURE_RUNNING',
      'Local Azure is up; its state is not removed.',
      'standby local down',
    );
  }
  await endLeftGuests(path.join(folder, 'run'), call.clock);
  const existed = existsSync(folder);
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  say(call, 'success', existed ? 'All state of Local Azure is removed.' : 'Local Azure had no state.');
  return { removed: existed };
}

async function env(call: LocalCall, folder: string): Promise<unknown> {
  requireDaemon(folder);
  const environment = environmentOf(folder, readEndpoint(folder));
  for (const line of environment.lines) say(call, 'info', line);
  return environment.document;
}

async function addFault(call: LocalCall, folder: string): Promise<unknown> {
  const spec = faultFrom(call.options);
  const fault = await askDaemon(folder, requireDaemon(folder).url, 'POST', 'faults', spec);
  say(call, 'success', `The next ${spec.times ?? 1} of ${spec.on}: ${spec.error}.`);
  return fault;
}

async function listFaults(call: LocalCall, folder: string): Promise<unknown> {
  const faults = (await askDaemon(folder, requireDaemon(folder).url, 'GET', 'faults')) as readonly Fault[];
  call.host.tell(faultTable(faults));
  return { faults };
}

async function clearFaults(call: LocalCall, folder: string): Promise<unknown> {
  const id = call.args?.[0];
  const route = id === undefined ? 'faults' : `faults?id=${encodeURIComponent(id)}`;
  const answer = (await askDaemon(folder, requireDaemon(folder).url, 'DELETE', route)) as {
    readonly cleared: number;
  };
  say(call, 'success', `${answer.cleared} removed.`);
  return answer;
}

function requireDaemon(folder: string): DaemonRecord {
  const daemon = livingDaemon(folder);
  if (daemon !== undefined) return daemon;
  throw new StandbyError({
    code: 'LOCAL_AZURE_DOWN',
    what: 'Local Azure is not up.',
    next: 'standby local up',
  });
}

function readEndpoint(folder: string): LocalEndpoint {
  return JSON.parse(readFileSync(path.join(folder, 'endpoint.json'), 'utf8')) as LocalEndpoint;
}

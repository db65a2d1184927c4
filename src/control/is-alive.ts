import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { inputError } from '../errors.ts';
import type { IsAliveFound, IsAliveSettings, Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { Context } from './context.ts';
import { appendEvent } from './events.ts';
import { scenarioNamed } from './scenario-named.ts';
import { changeStatus, statusOf } from './scenario-status.ts';
import { isAliveText, isWatched } from './status-words.ts';

/**
 * Whether a master lives, as seen from this machine: a ping, a TCP port, a script of one's own. It only tells; nothing
 * switches over because of it. Off is off: without any of the three nothing is tried, and status says `off`.
 */
export type IsAliveChange = {
  readonly [Setting in keyof IsAliveSettings]?: IsAliveSettings[Setting] | null;
};

/** Shows the settings, or changes those that are given (null takes one away). */
export async function isAliveSettings(
  context: Context,
  name: string,
  change?: IsAliveChange,
): Promise<{ readonly scenario: Scenario; readonly status: ScenarioStatus }> {
  const scenario = await scenarioNamed(context, name);
  if (!change) return { scenario, status: await statusOf(context, scenario) };
  const isAlive = merged(scenario.isAlive, change);
  if (scenario.purpose === 'migration' && isWatched(isAlive)) {
    throw inputError('IS_ALIVE_OFF', `Scenario ${scenario.name} is a migration: is-alive is always off.`);
  }
  const saved = await context.store.scenarios.update(scenario.id, (one) => ({ ...one, isAlive }));
  // What was found in another way says nothing any more.
  const status = await changeStatus(context, saved, { isAliveFound: undefined });
  await appendEvent(context, {
    level: 'info',
    code: 'IS_ALIVE_SET',
    text: `Is-alive of "${saved.name}" is ${isAliveText(saved)}.`,
    scenarioId: saved.id,
  });
  return { scenario: saved, status };
}

function merged(before: IsAliveSettings, change: IsAliveChange): IsAliveSettings {
  const fields: Record<string, unknown> = { ...before, ...change };
  for (const [name, value] of Object.entries(fields)) {
    if (value === null || value === undefined) delete fields[name];
  }
  return { ...fields, ping: fields.ping === true };
}

const TRY_MS = 5_000;

/** Tries every way that is on; alive is one that answers to all of them. What cannot be tried is no silence. */
export async function tryMaster(
  isAlive: IsAliveSettings,
  address: string | undefined,
  signal: AbortSignal,
): Promise<Pick<IsAliveFound, 'state' | 'found'>> {
  const { ping, tcpPort, script } = isAlive;
  const place = isAlive.address ?? address;
  const tries = [
    ...(ping ? [onPlace('ping', place, (host) => pings(host, signal))] : []),
    ...(tcpPort === undefined
      ? []
      : [onPlace(`TCP port ${tcpPort}`, place, (host) => connects(host, tcpPort, signal))]),
    ...(script ? [runs(script, place, signal)] : []),
  ];
  const answers = await Promise.all(tries);
  for (const state of ['silent', 'unknown'] as const) {
    const those = answers.filter((one) => one.state === state);
    if (those.length > 0) return { state, found: those.map((one) => one.said).join('; ') };
  }
  return { state: 'alive', found: answers.map((one) => one.said).join('; ') };
}

interface Tried {
  readonly state: IsAliveFound['state'];
  readonly said: string;
}

async function onPlace(
  what: string,
  host: string | undefined,
  attempt: (host: string) => Promise<string | undefined>,
): Promise<Tried> {
  if (host === undefined)
    return { state: 'unknown', said: `${what}: no address of the master is known (--address)` };
  const why = await attempt(host);
  const state = why === undefined ? 'alive' : why === NO_PING ? 'unknown' : 'silent';
  return { state, said: `${what} of ${host} ${why ?? 'answers'}` };
}

const NO_PING = 'cannot be tried: this machine has no `ping` program';

/** By the system's own program: a raw socket would need root. Gives what is wrong. */
async function pings(host: string, signal: AbortSignal): Promise<string | undefined> {
  // A name that begins with a dash must not become an option.
  const why = await ended('ping', ['-n', '-c', '1', '-W', '3', '--', host], signal);
  return why === 'ENOENT' ? NO_PING : why && 'does not answer';
}

function connects(host: string, port: number, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    const end = (why?: string) => {
      socket.destroy();
      resolve(why);
    };
    socket.setTimeout(TRY_MS, () => end('does not answer'));
    socket.once('connect', () => end());
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end(error.code === 'ECONNREFUSED' ? 'is closed' : 'does not answer'),
    );
  });
}

async function runs(
  [program = '', ...args]: readonly string[],
  address: string | undefined,
  signal: AbortSignal,
): Promise<Tried> {
  const why = await ended(program, args, signal, address);
  if (why === 'ENOENT') return { state: 'unknown', said: `the script ${program} is not there` };
  return {
    state: why === undefined ? 'alive' : 'silent',
    said: `the script ${program} ${why === undefined ? 'says alive' : `says no (${why})`}`,
  };
}

/** No shell, nothing of our own environment, and nothing of it is left when its time is over. Undefined: it ended with 0. */
function ended(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
  address?: string,
): Promise<string | undefined> {
  const env = { PATH: SYSTEM_PATH, LANG: 'C', ...(address === undefined ? {} : { STANDBY_MASTER: address }) };
  // A group of its own, so that what it started ends with it.
  const child = spawn(program, [...args], { env, stdio: 'ignore', detached: true });
  return new Promise((resolve) => {
    const late = AbortSignal.any([signal, AbortSignal.timeout(TRY_MS)]);
    const end = () => endGroup(child.pid);
    const done = (why?: string) => {
      late.removeEventListener('abort', end);
      resolve(why);
    };
    if (late.aborted) end();
    else late.addEventListener('abort', end, { once: true });
    child.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? 'failed'));
    child.once('exit', (code, by) => {
      // What it left behind as well.
      end();
      done(code === 0 ? undefined : String(code ?? by));
    });
  });
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // It ended by itself meanwhile.
  }
}

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

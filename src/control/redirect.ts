import { lookup } from 'node:dns/promises';
import { constants } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import {
  type DnsUpdateRedirect,
  momentText,
  type ScenarioScript,
  type ScriptEvent,
} from '../model/redirect.ts';
import type { Scenario } from '../model/scenario.ts';
import { azureDns } from '../redirect/azure-dns.ts';
import { dnsUpdate } from '../redirect/dns-update.ts';
import type { Redirect } from '../redirect/redirect.ts';
import { runScript } from '../redirect/user-script.ts';
import type { Work } from '../switchover/work.ts';
import type { VerifyFacts } from '../verify/check.ts';
import type { Context } from './context.ts';
import { type RedirectKey, redirectKeyName } from './redirect-key.ts';

/** What carries out a scenario's redirection and scripts: with its secret, and where their words are kept. */
const DNS_PORT = 53;
const DNS_TIMEOUT_MS = 5000;

/** `key` is one that is not stored yet. */
async function redirectFor(context: Context, scenario: Scenario, key?: RedirectKey): Promise<Redirect> {
  const { redirect } = scenario;
  if (!redirect) throw new Error(`scenario ${scenario.name} has no redirection`);
  if (redirect.kind === 'dns-update') return dnsUpdateFor(context, scenario, redirect, key);
  const account = await context.store.accounts.get(scenario.accountId);
  if (!account) throw new Error(`the account of ${scenario.name} is not in the store`);
  const { kind, resourceGroup, zone, name } = redirect;
  const type = kind === 'azure-dns' ? 'dnsZones' : 'privateDnsZones';
  const group = `/subscriptions/${account.subscriptionId}/resourceGroups/${resourceGroup}`;
  const zoneId = `${group}/providers/Microsoft.Network/${type}/${zone}`;
  return azureDns({ zoneId, zone, name }, (await context.cloudFor(account)).dns);
}

async function dnsUpdateFor(
  context: Context,
  scenario: Pick<Scenario, 'id' | 'name'>,
  settings: DnsUpdateRedirect,
  key?: RedirectKey,
): Promise<Redirect> {
  const secret = key?.secret ?? (await context.secrets.get(redirectKeyName(scenario.id)));
  if (secret === undefined) throw keyMissing(scenario.name);
  const { zone, name, keyName, keyAlgorithm: algorithm } = settings;
  const { host, port } = serverOf(settings.server);
  const server = { host: await addressOf(host), port, timeoutMs: DNS_TIMEOUT_MS };
  const signing = { name: keyName, algorithm, secret: Buffer.from(secret, 'base64') };
  return dnsUpdate({ server, zone, name, key: signing }, context.clock);
}

export function keyMissing(scenario: string): StandbyError {
  return new StandbyError({
    code: 'REDIRECT_KEY_MISSING',
    what: `The key for the DNS updates of ${scenario} is not in the store.`,
    next: 'Give its file: --dns-key-file FILE (standby scenario create, edit or import).',
    kind: 'input',
  });
}

/** `host`, `host:port`, `[v6]:port`. */
export function serverOf(text: string): { readonly host: string; readonly port: number } {
  if (isIP(text) === 6) return { host: text, port: DNS_PORT };
  const [, bracketed, plain = '', port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text) ?? [];
  return { host: bracketed ?? plain, port: port === undefined ? DNS_PORT : Number(port) };
}

async function addressOf(host: string): Promise<string> {
  if (isIP(host) !== 0) return host;
  try {
    return (await lookup(host)).address;
  } catch (error) {
    throw new StandbyError({
      code: 'DNS_UNREACHABLE',
      what: `The DNS server ${host} cannot be found.`,
      why: messageOf(error),
      next: 'Give its IP address, or check the name.',
      retry: 'later',
      cause: error,
    });
  }
}

/** What the plans need to carry a scenario's redirection and scripts out. */
export function redirectParts(
  context: Context,
  scenario: Scenario,
  runId: string,
): Pick<Work, 'redirect' | 'runScript'> {
  const { redirect, scripts = [] } = scenario;
  return {
    ...(redirect ? { redirect: () => redirectFor(context, scenario) } : {}),
    ...(scripts.length > 0
      ? { runScript: (script, call, signal) => runOne(context, runId, script, call, signal) }
      : {}),
  };
}

async function runOne(
  context: Context,
  runId: string,
  script: ScenarioScript,
  call: { readonly event: ScriptEvent; readonly facts: Readonly<Record<string, string>> },
  signal: AbortSignal,
): ReturnType<typeof runScript> {
  const folder = join(context.homeFolder, 'scripts');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return runScript(
    {
      command: script.command,
      phase: script.at,
      ...call,
      timeoutMs: script.timeoutSeconds * 1000,
      logFile: join(folder, `${runId}-${script.at}.log`),
    },
    { environment: context.environment ?? {}, clock: context.clock, signal },
  );
}

/** What the checks look at. A key that is missing, or a server whose name nobody knows, is what the look finds. */
export function redirectLooks(
  context: Context,
  scenario: Scenario,
  key?: RedirectKey,
): Pick<VerifyFacts, 'redirect'> {
  const { redirect, scripts = [] } = scenario;
  if (!redirect && scripts.length === 0) return {};
  const made = () => redirectFor(context, scenario, key);
  return {
    redirect: {
      ...(redirect
        ? {
            record: {
              title: `A record ${redirect.name}`,
              current: async () => (await made()).current(),
              rehearse: async () => (await made()).rehearse(),
            },
          }
        : {}),
      scripts: scripts.map((script) => {
        const [program = ''] = script.command;
        return { phase: momentText(script), program, look: () => lookAt(program) };
      }),
    },
  };
}

async function lookAt(program: string): Promise<'runnable' | 'missing' | 'not-runnable'> {
  try {
    await access(program, constants.F_OK);
  } catch (error) {
    if (!isStandbyError(error) && (error as NodeJS.ErrnoException).code === 'ENOENT') return 'missing';
    return 'not-runnable';
  }
  return access(program, constants.X_OK).then(
    () => 'runnable',
    () => 'not-runnable',
  );
}

import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import type { Choice } from '../model/question.ts';
import {
  momentText,
  SCRIPT_EVENTS,
  SCRIPT_MOMENTS,
  type ScenarioRedirect,
  type ScenarioScript,
  scriptsProblem,
} from '../model/redirect.ts';
import type { Answers } from '../ports/host.ts';
import { REDIRECTIONS, type Redirection, whyNotRedirect } from '../redirect/matrix.ts';
import { KEY_IS_KEPT, type RedirectKey } from './redirect-key.ts';
import { type Screen, textOf } from './screen.ts';

/** How clients find the standby (M-22, M-24, M-25), and the user's own programs around its parts. */
const isUpdate = (answers: Answers): boolean => answers.redirect === 'dns-update';
const isAzure = ({ redirect }: Answers): boolean =>
  redirect === 'azure-dns' || redirect === 'azure-private-dns';
const isDns = (answers: Answers): boolean => isUpdate(answers) || isAzure(answers);
const TIMEOUT_SECONDS = 300;
const TIMEOUT_SECONDS_MAX = 24 * 3600;

/** All methods stand in the list; what a whole machine cannot have says why. */
function methodChoices(): readonly Choice[] {
  const titles: Partial<Record<Redirection, string>> = {
    'ip-move': 'move the IP address',
    'computer-name': 'switch the computer name',
    'computer-alias': 'switch a computer alias',
  };
  return [
    { value: 'none', label: 'none: people are told the new address' },
    { value: 'dns-update', label: 'dns-update: change an A record by a signed dynamic update (RFC 2136)' },
    { value: 'azure-dns', label: 'azure-dns: change an A record in a zone of Azure DNS' },
    { value: 'azure-private-dns', label: 'azure-private-dns: the same in a private zone' },
    ...REDIRECTIONS.flatMap((method) => {
      const why = whyNotRedirect('full-system', method);
      return why === undefined
        ? []
        : [{ value: method, label: titles[method] ?? method, disabled: why.replace(/\.$/, '') }];
    }),
  ];
}

const NAME = /^(?=.{1,253}\.?$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]+\.?$/i;
const nameProblem = (value: unknown): string | undefined =>
  NAME.test(textOf(value)) ? undefined : 'Write it in full, like www.example.com.';

export const redirectScreens: readonly Screen[] = [
  {
    name: 'redirect',
    question: () => ({
      name: 'redirect',
      kind: 'select',
      message: 'How clients find the standby',
      default: 'none',
      choices: methodChoices(),
    }),
  },
  {
    name: 'dnsServer',
    needs: ['redirect'],
    when: isUpdate,
    question: () => ({
      name: 'dnsServer',
      kind: 'text',
      message: 'DNS server that takes the update',
      hint: 'the primary of the zone: an address or a name, with :port when it is not 53',
      validate: (value) =>
        /^(\[[\da-f:]+\]|[^\s:]+)(:\d{1,5})?$/i.test(textOf(value))
          ? undefined
          : 'Write host, host:port or [address]:port.',
    }),
  },
  {
    name: 'dnsName',
    needs: ['redirect'],
    when: isDns,
    question: () => ({
      name: 'dnsName',
      kind: 'text',
      message: 'Name that clients use',
      validate: nameProblem,
    }),
  },
  {
    name: 'dnsZone',
    needs: ['redirect', 'dnsName'],
    when: isDns,
    question: (answers) => ({
      name: 'dnsZone',
      kind: 'text',
      message: 'Zone of that name',
      default: textOf(answers.dnsName).replace(/^[^.]+\./, ''),
      validate: (value) => {
        const [zone, name] = [textOf(value), textOf(answers.dnsName)].map((one) =>
          one.replace(/\.$/, '').toLowerCase(),
        );
        return name === zone || name?.endsWith(`.${zone}`) ? undefined : `${name} is not inside that zone.`;
      },
    }),
  },
  {
    name: 'dnsGroup',
    needs: ['redirect', 'resourceGroup'],
    when: isAzure,
    question: (answers) => ({
      name: 'dnsGroup',
      kind: 'text',
      message: 'Resource group of the zone',
      default: textOf(answers.resourceGroup),
    }),
  },
  {
    name: 'dnsAddress',
    needs: ['redirect', 'publicIp'],
    when: (answers) => isDns(answers) && answers.publicIp === true,
    question: (answers) => ({
      name: 'dnsAddress',
      kind: 'select',
      message: 'Address of the standby that it gets',
      default: answers.redirect === 'azure-private-dns' ? 'private' : 'public',
      choices: [
        { value: 'public', label: "public: the first NIC's public IP" },
        { value: 'private', label: "private: the first NIC's address in the virtual network" },
      ],
    }),
  },
  {
    name: 'dnsTtl',
    needs: ['redirect'],
    when: isDns,
    question: () => ({
      name: 'dnsTtl',
      kind: 'number',
      message: 'TTL of the changed record, in seconds',
      hint: 'empty: as the record has it; what counts at a switchover is the TTL that it had before',
      optional: true,
      validate: (value) =>
        Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 86_400
          ? undefined
          : 'A whole number of seconds from 1 to 86400.',
    }),
  },
  {
    name: 'dnsKeyFile',
    needs: ['redirect'],
    when: isUpdate,
    question: () => ({
      name: 'dnsKeyFile',
      kind: 'text',
      message: 'File with the key for the updates (TSIG)',
      hint: 'as tsig-keygen writes it; the key is stored encrypted, the file is not needed afterwards',
      validate: (value) =>
        textOf(value) === KEY_IS_KEPT || existsSync(textOf(value))
          ? undefined
          : 'There is no such file. Make one: tsig-keygen NAME > FILE',
    }),
  },
  {
    name: 'scripts',
    question: () => ({
      name: 'scripts',
      kind: 'text',
      message: 'Programs of your own around a switchover, a drill or a failback',
      hint: `MOMENT=/path/program argument; MOMENT@DRILL+SWITCHOVER=... with ${SCRIPT_MOMENTS.join(', ')}; without @: SWITCHOVER; empty: none`,
      optional: true,
      validate: (value) => {
        const parsed = scriptsFrom(textOf(value), TIMEOUT_SECONDS);
        return typeof parsed === 'string' ? parsed : undefined;
      },
    }),
  },
  {
    name: 'scriptTimeout',
    needs: ['scripts'],
    when: (answers) => textOf(answers.scripts) !== '',
    question: () => ({
      name: 'scriptTimeout',
      kind: 'number',
      message: 'Seconds after which a program is ended',
      default: TIMEOUT_SECONDS,
      validate: (value) =>
        Number.isInteger(value) && Number(value) >= 1 && Number(value) <= TIMEOUT_SECONDS_MAX
          ? undefined
          : `A whole number of seconds from 1 to ${TIMEOUT_SECONDS_MAX}.`,
    }),
  },
];

/** The scripts of an answer, or what is wrong with it. A command with spaces in it is written as a JSON list. */
function scriptsFrom(text: string, timeoutSeconds: number): readonly ScenarioScript[] | string {
  const scripts: ScenarioScript[] = [];
  for (const part of text.split(/[;\n]/)) {
    if (part.trim() === '') continue;
    const [, moment = '', when, rest = ''] = /^\s*([a-z-]+)(?:@([A-Z+]+))?\s*=\s*(.*?)\s*$/.exec(part) ?? [];
    const at = SCRIPT_MOMENTS.find((one) => one === moment);
    if (!at) return `Write MOMENT=PROGRAM, with one of ${SCRIPT_MOMENTS.join(', ')}.`;
    const command = commandOf(rest);
    if (!command || !isAbsolute(command[0] ?? '')) return `${at} needs a program with its whole path.`;
    const named = when?.split('+') ?? [];
    const events = SCRIPT_EVENTS.filter((one) => named.includes(one));
    if (events.length < named.length)
      return `${at}@ is followed by ${SCRIPT_EVENTS.join(', ')}, or some of them with a + between.`;
    scripts.push({ at, ...(events.length > 0 ? { events } : {}), command, timeoutSeconds });
  }
  return scriptsProblem(scripts) ?? scripts;
}

function commandOf(text: string): readonly string[] | undefined {
  if (!text.startsWith('[')) return text.split(/\s+/);
  try {
    const parsed: unknown = JSON.parse(text);
    return Array.isArray(parsed) && parsed.every((one) => typeof one === 'string') ? parsed : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

interface RedirectDefinition {
  readonly redirect?: ScenarioRedirect;
  readonly scripts?: readonly ScenarioScript[];
}

/** `key`: of the file that the answers name, or the one that the scenario has. */
export function redirectFromAnswers(
  answers: Answers,
  key: Pick<RedirectKey, 'name' | 'algorithm'> | undefined,
): RedirectDefinition {
  const scripts = scriptsFrom(textOf(answers.scripts), Number(answers.scriptTimeout ?? TIMEOUT_SECONDS));
  const redirect = recordFromAnswers(answers, key);
  return {
    ...(redirect ? { redirect } : {}),
    ...(typeof scripts !== 'string' && scripts.length > 0 ? { scripts } : {}),
  };
}

function recordFromAnswers(
  answers: Answers,
  key: Pick<RedirectKey, 'name' | 'algorithm'> | undefined,
): ScenarioRedirect | undefined {
  const { redirect: kind, dnsAddress: address, dnsTtl } = answers;
  const which = (['public', 'private'] as const).find((one) => one === address);
  const record = {
    zone: textOf(answers.dnsZone),
    name: textOf(answers.dnsName),
    ...(which ? { address: which } : {}),
    ...(typeof dnsTtl === 'number' ? { ttlSeconds: dnsTtl } : {}),
  };
  if (kind === 'azure-dns' || kind === 'azure-private-dns')
    return { kind, resourceGroup: textOf(answers.dnsGroup), ...record };
  if (kind !== 'dns-update') return undefined;
  const { name: keyName, algorithm: keyAlgorithm } = key ?? { name: '', algorithm: 'hmac-sha256' };
  return { kind, server: textOf(answers.dnsServer), ...record, keyName, keyAlgorithm };
}

export function answersOfRedirect({ redirect, scripts = [] }: RedirectDefinition): Answers {
  const [first] = scripts;
  return {
    redirect: redirect?.kind ?? 'none',
    ...(redirect
      ? {
          ...(redirect.kind === 'dns-update'
            ? { dnsServer: redirect.server, dnsKeyFile: KEY_IS_KEPT }
            : { dnsGroup: redirect.resourceGroup }),
          dnsName: redirect.name,
          dnsZone: redirect.zone,
          ...(redirect.address ? { dnsAddress: redirect.address } : {}),
          ...(redirect.ttlSeconds === undefined ? {} : { dnsTtl: redirect.ttlSeconds }),
        }
      : {}),
    ...(first ? { scripts: scripts.map(scriptText).join('; '), scriptTimeout: first.timeoutSeconds } : {}),
  };
}

function scriptText(script: ScenarioScript): string {
  const { command } = script;
  const plain = command.every((one) => /^[^\s;[]+$/.test(one));
  return `${momentText(script)}=${plain ? command.join(' ') : JSON.stringify(command)}`;
}

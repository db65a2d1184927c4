import { setTimeout as wait } from 'node:timers/promises';
import type { LocalAzure } from '../../../infra/local/local-azure.ts';
import { type Target, targetOf } from './arm-path.ts';
import { compare, errorCodeOf } from './compare.ts';
import { isObject, mapStrings, strings, textAt } from './json.ts';
import { learn, referencesIn, typeOfKey } from './knowledge.ts';
import type { Answer, LocalClient } from './local-client.ts';
import { causeElsewhere, declinedBy, withKnownVersion } from './outside.ts';
import type { Interaction, Recording } from './recordings.ts';
import type { Outcome } from './report.ts';
import { fitted, foreignReferences, makeStage, type StageHand, writable } from './stage.ts';
import { type VirtualClock, whileTimePasses } from './virtual-clock.ts';

/**
 * Plays one recording against a fresh Local Azure, request by request, and compares. Time is the recording's: an
 * operation ends when the recording first says that it ended, or at once when the recording never asks.
 */
export interface Theatre {
  readonly local: LocalAzure;
  readonly client: LocalClient;
  readonly clock: VirtualClock;
}

/** An operation under way on both sides. */
interface Pending {
  readonly resourceKey: string;
  readonly asyncUrl?: string;
  readonly locationUrl?: string;
  /** Set when the request that started it could not be compared; then neither can its polls. */
  readonly notComparable?: string;
  isEnded: boolean;
}

const END_WAIT_MS = 15_000;
const AN_HOUR_MS = 3_600_000;

export async function replay(
  recording: Recording,
  theatre: Theatre,
  compareWith: typeof compare = compare,
): Promise<Outcome[]> {
  const { client, local, clock } = theatre;
  const { subscriptionId } = local.endpoint;
  const interactions = recording.interactions.map(withBody);
  const knowledge = learn(interactions);
  const pendings = new Map<string, Pending>();
  const createdHere = new Set<string>();
  const map = (text: string) =>
    text.replace(/\/subscriptions\/[0-9a-f-]{36}/gi, `/subscriptions/${subscriptionId}`);

  const end = async (pending: Pending): Promise<void> => {
    if (pending.isEnded) return;
    pending.isEnded = true;
    const url = pending.asyncUrl ?? pending.locationUrl;
    if (url === undefined) return;
    for (let waitedMs = 0; waitedMs < END_WAIT_MS; waitedMs += 2) {
      clock.advance(AN_HOUR_MS / 60);
      const answer = await client.send('GET', url);
      if (
        pending.asyncUrl === undefined
          ? answer.status !== 202
          : textAt(answer.body, 'status') !== 'InProgress'
      )
        return;
      await wait(2);
    }
    throw new Error(`${recording.name}: an operation on ${pending.resourceKey} does not end.`);
  };
  const pendingOf = (resourceKey: string, answer: Answer, notComparable?: string): Pending => ({
    resourceKey,
    ...(answer.headers['azure-asyncoperation'] === undefined
      ? {}
      : { asyncUrl: answer.headers['azure-asyncoperation'] }),
    ...(answer.headers.location === undefined ? {} : { locationUrl: answer.headers.location }),
    ...(notComparable === undefined ? {} : { notComparable }),
    isEnded: false,
  });
  const hand: StageHand = {
    idOf: (key) => `/subscriptions/${subscriptionId}/${key}`,
    async exists(key) {
      const version = /microsoft\.storage/.test(key)
        ? '2025-08-01'
        : /\/(disks|snapshots)\//.test(key)
          ? '2024-03-02'
          : '2024-07-01';
      const answer = await client.send('GET', encodeURI(`${hand.idOf(key)}?api-version=${version}`));
      return answer.status === 200;
    },
    async put(key, apiVersion, body) {
      const path = encodeURI(`${hand.idOf(key)}?api-version=${apiVersion}`);
      const answer = await whileTimePasses(clock, client.send('PUT', path, mapStrings(body, map)));
      if (answer.status >= 300) return false;
      await end(pendingOf(key, answer));
      return true;
    },
  };
  const stage = makeStage(hand, knowledge);

  const startOf = async (index: number, each: Interaction, target: Target): Promise<string | undefined> => {
    if (target.isSupported === undefined) return 'not a request to Azure Resource Manager';
    if (!target.isSupported) return `${shortType(target)} is not of Local Azure`;
    if (each.url.searchParams.has('$skiptoken')) return 'goes on in a list by a mark of Azure itself';
    const elsewhere = causeElsewhere(each);
    if (elsewhere !== undefined) return elsewhere;
    if (target.resourceGroup !== undefined) await stage.group(target.resourceGroup);
    const key = target.resourceKey;
    const isOk = each.status < 300;
    const { parentKey } = target;
    if (isOk && parentKey !== undefined && !createdHere.has(parentKey))
      await stage.resource(parentKey, index);
    if (key === undefined || target.type === undefined) return undefined;
    const needsIt = isOk && !(each.method === 'PUT' && each.status === 201) && !isDiskCreation(each, target);
    if (
      needsIt &&
      target.type !== undefined &&
      !createdHere.has(key) &&
      !(await stage.resource(key, index))
    ) {
      return 'acts on what was made outside of the recording';
    }
    if (each.method !== 'PUT' && each.method !== 'PATCH' && each.method !== 'POST') return undefined;
    const [foreign] = foreignReferences(each.requestBody, key);
    if (foreign !== undefined) return `names a ${foreign.type}, which is not of Local Azure`;
    if (textAt(each.requestBody, 'properties.storageProfile.osDisk.vhd.uri') !== undefined) {
      return 'has an unmanaged disk, which is not of Local Azure';
    }
    const option = textAt(each.requestBody, 'properties.creationData.createOption') ?? '';
    if (/^import/i.test(option)) return 'makes a disk of a blob that is not in the recording';
    if (isOk) for (const one of referencesIn(each.requestBody, key)) await stage.resource(one.key, index);
    return undefined;
  };

  const outcomes: Outcome[] = [];
  for (const [index, each] of interactions.entries()) {
    const target = targetOf(each.method, each.url);
    const request = `${each.method} ${each.url.pathname.split('/').slice(3).join('/').slice(-120)}`;
    const outcome = { recording: recording.name, index, operation: target.operation, request };
    try {
      outcomes.push({ ...outcome, ...(await play(index, each, target)) });
    } catch (error) {
      // What cannot be played must neither vanish from the sum nor end the whole run: it counts as a difference.
      const answered = error instanceof Error ? error.message : String(error);
      const difference = { aspect: 'not sent' as const, recorded: String(each.status), answered };
      outcomes.push({ ...outcome, differences: [difference] });
    }
  }
  return outcomes;

  async function play(
    index: number,
    each: Interaction,
    target: Target,
  ): Promise<Pick<Outcome, 'differences' | 'notComparable'>> {
    if (target.pollId !== undefined) return replayPoll(each, target);
    const isDeployment = target.type === 'microsoft.resources/deployments' && each.method === 'PUT';
    if (isDeployment && each.status < 300) {
      await stage.group(target.resourceGroup ?? '');
      const template = isObject(each.requestBody) ? each.requestBody.properties : undefined;
      if (isObject(template)) await stage.template(template.template, target.resourceGroup ?? '', index);
    }
    const reason = await startOf(index, each, target);
    if (each.status < 300) heedLock(each, target);
    if (reason !== undefined && isNotSent(each, target)) {
      noteForeign(each, reason);
      return { notComparable: reason, differences: [] };
    }
    await catchUp(each, target);
    const answer = await send(index, each, target, reason);
    const notComparable = reason ?? declinedBy(answer);
    await follow(index, each, target, answer, notComparable);
    if (notComparable !== undefined) return { notComparable, differences: [] };
    return { differences: compareWith(each, answer, false) };
  }

  /** Locks are no resources of Local Azure: its settings hold them, and what they refuse is compared. */
  function heedLock(each: Interaction, target: Target): void {
    if (target.type !== 'microsoft.authorization/locks' || target.resourceKey === undefined) return;
    const name = target.resourceKey.split('/').at(-1) ?? '';
    const scope = `/subscriptions/${subscriptionId}/${target.resourceKey.replace(/\/?providers\/microsoft\.authorization\/locks\/.*$/, '')}`;
    const others = local.settings.now().locks.filter((lock) => lock.name !== name || lock.scope !== scope);
    const level = textAt(each.requestBody, 'properties.level') === 'ReadOnly' ? 'ReadOnly' : 'CanNotDelete';
    if (each.method === 'PUT') local.settings.change({ locks: [...others, { name, scope, level }] });
    if (each.method === 'DELETE') local.settings.change({ locks: others });
  }

  /** Polls of what Local Azure does not have are not comparable either. */
  function noteForeign(each: Interaction, reason: string): void {
    for (const id of pollIdsOf(each))
      pendings.set(id, { resourceKey: '', notComparable: reason, isEnded: true });
  }

  /** What the recording shows as settled must be settled here too. */
  async function catchUp(each: Interaction, target: Target): Promise<void> {
    const state = textAt(each.body, 'properties.provisioningState') ?? '';
    const isUnderWay =
      each.method === 'GET' && ['Creating', 'Updating', 'Deleting', 'InProgress'].includes(state);
    if (isUnderWay) return;
    for (const pending of new Set(pendings.values())) {
      const key = target.resourceKey;
      const isSame =
        key === undefined ||
        key === pending.resourceKey ||
        key.startsWith(`${pending.resourceKey}/`) ||
        pending.resourceKey.startsWith(`${key}/`);
      if (isSame && (key !== undefined || each.method === 'GET')) await end(pending);
    }
  }

  async function send(
    index: number,
    each: Interaction,
    target: Target,
    reason: string | undefined,
  ): Promise<Answer> {
    const failure = failureOf(interactions, index, each);
    if (failure !== undefined && target.type !== undefined) {
      const action =
        target.verb === undefined ? (each.method === 'DELETE' ? 'delete' : 'write') : `${target.verb}/action`;
      local.faults.add({ on: `${target.type}/${action}`, error: failure.code, message: failure.message });
    }
    const path = map(withKnownVersion(each, target));
    const mapped = mapStrings(each.requestBody, map);
    const isAboutSize = /\bvm ?size\b/i.test(textAt(each.body, 'error.message') ?? '');
    const body = isAboutSize ? mapped : fitted(mapped);
    const isToFit =
      reason !== undefined && isObject(body) && target.type !== undefined && each.method === 'PUT';
    const fitting = isToFit ? writable(target.type ?? '', body, target.resourceKey ?? '') : body;
    const conditions = Object.fromEntries(
      Object.entries(each.requestHeaders).filter(([name]) => name === 'if-none-match'),
    );
    return whileTimePasses(clock, client.send(each.method, path, fitting, conditions));
  }

  async function follow(
    index: number,
    each: Interaction,
    target: Target,
    answer: Answer,
    reason: string | undefined,
  ): Promise<void> {
    const key = target.resourceKey ?? '';
    if (each.method === 'PUT' && answer.status < 300) createdHere.add(key);
    const pending = pendingOf(key, answer, reason);
    const ids = pollIdsOf(each);
    for (const id of ids) pendings.set(id, pending);
    const isAwaited = interactions
      .slice(index + 1)
      .some((later) => ids.includes(targetOf(later.method, later.url).pollId ?? '-'));
    if (!isAwaited) await end(pending);
  }

  async function replayPoll(
    each: Interaction,
    target: Target,
  ): Promise<Pick<Outcome, 'differences' | 'notComparable'>> {
    if (target.isSupported === false)
      return { notComparable: `${shortType(target)} is not of Local Azure`, differences: [] };
    const pending = pendings.get(target.pollId ?? '');
    if (pending === undefined)
      return { notComparable: 'polls what was begun outside of the recording', differences: [] };
    if (pending.notComparable !== undefined) return { notComparable: pending.notComparable, differences: [] };
    const byLocation = each.url.searchParams.has('monitor') || /operationresults/i.test(each.url.pathname);
    const url = byLocation ? pending.locationUrl : pending.asyncUrl;
    if (url === undefined) {
      const text = 'the request that began it was answered without a URL to poll';
      return { differences: [{ aspect: 'not sent', recorded: String(each.status), answered: text }] };
    }
    const isUnderWay = byLocation ? each.status === 202 : textAt(each.body, 'status') === 'InProgress';
    if (!isUnderWay) await end(pending);
    return { differences: compareWith(each, await client.send('GET', url), true) };
  }
}

/** Some are not even sent: what Local Azure does not have, and what Azure refused for a reason of its own. */
function isNotSent(each: Interaction, target: Target): boolean {
  const isForeign = target.isSupported !== true || each.url.searchParams.has('$skiptoken');
  return isForeign || causeElsewhere(each) !== undefined;
}

/** Some recorders keep no request bodies: what was put is then taken from what Azure answered. */
function withBody(each: Interaction, _index: number, all: readonly Interaction[]): Interaction {
  if (each.method !== 'PUT' || each.requestBody !== undefined || each.status >= 300) return each;
  const key = targetOf(each.method, each.url).resourceKey;
  if (key === undefined) return each;
  const shown = isObject(each.body) ? each.body : learn(all).bodyOf(key, 0);
  return shown === undefined ? each : { ...each, requestBody: writable(typeOfKey(key), shown, key) };
}

/** Ids of the operation that an answer announces. */
function pollIdsOf(each: Interaction): string[] {
  const urls = ['azure-asyncoperation', 'location'].flatMap((name) => each.headers[name] ?? []);
  const readable = urls.filter((url) => URL.canParse(url));
  return readable.flatMap((url) => targetOf('GET', new URL(url)).pollId ?? []);
}

/**
 * How the operation that this request began ended badly, if it did: why it failed in Azure (no capacity, a guest that
 * did not answer) is not in the request, so the failure is ordered from Local Azure, and its shape compared.
 */
function failureOf(
  interactions: readonly Interaction[],
  index: number,
  each: Interaction,
): { code: string; message: string } | undefined {
  const ids = pollIdsOf(each);
  const failed = interactions.slice(index + 1).find((later) => {
    const { pollId } = targetOf(later.method, later.url);
    return pollId !== undefined && ids.includes(pollId) && textAt(later.body, 'status') === 'Failed';
  });
  if (failed === undefined) return undefined;
  return { code: errorCodeOf(failed.body), message: textAt(failed.body, 'error.message') ?? '' };
}

/** The first PUT of a disk is answered 202 whether it is new or not: new when nothing showed it before. */
function isDiskCreation(each: Interaction, target: Target): boolean {
  return each.method === 'PUT' && each.status === 202 && target.type !== undefined;
}

function shortType(target: Target): string {
  return target.operation
    .replace(/^\S+ /, '')
    .replace(/ \(list\)$/, '')
    .toLowerCase();
}

/** Every location that a recording names; Local Azure is given them. */
export function locationsIn(recording: Recording): string[] {
  const found = new Set<string>();
  for (const each of recording.interactions) {
    for (const { name, text } of strings([each.requestBody, each.body])) {
      if (name === 'location' && /^[A-Za-z0-9 ]{3,40}$/.test(text))
        found.add(text.replace(/\s+/g, '').toLowerCase());
    }
    const inUrl = /\/locations\/([a-z0-9]+)\//i.exec(each.url.pathname)?.[1];
    if (inUrl !== undefined) found.add(inUrl.toLowerCase());
  }
  return [...found];
}

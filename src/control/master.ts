import { inputError, isStandbyError } from '../errors.ts';
import type { Appliance, Master } from '../model/appliance.ts';
import type { MasterInventory } from '../model/disk.ts';
import { shortId } from '../model/names.ts';
import type { ControlSession, MasterPresence, PendingJoin } from '../wire/control-session.ts';
import { applianceNamed } from './appliance/records.ts';
import { type ControlIdentity, openAuthority } from './authority.ts';
import type { Context } from './context.ts';

/**
 * How masters come in and what is known of them. A token is made here, used once, and good for an hour; control alone
 * checks who used it and signs. The order is: record, grant, forget the token. If we die in between, the join is
 * still pending at the next call, and because a master's id comes from its token's id, the same record is found.
 */
export interface JoinOffer {
  readonly appliance: Appliance;
  /** Shown once: `standby master join <token>`. */
  readonly tokenText: string;
  readonly expiresAtMs: number;
}

const TOKEN_MS = 3_600_000;
const MASTER_CERTIFICATE_DAYS = 825;

interface StoredOffer {
  readonly text: string;
  readonly applianceId: string;
  readonly expiresAtMs: number;
  /** The id of the master whose place is taken: its certificate is given again, to new hardware. */
  readonly replaces?: string;
}

function offerName(tokenId: string): string {
  return `join/${tokenId}`;
}

export async function offerMaster(
  context: Context,
  ask: { readonly appliance: string; readonly replaces?: string },
): Promise<JoinOffer> {
  const appliance = await applianceNamed(context, ask.appliance);
  const { caSha256 } = await openAuthority(context);
  const session = await context.connect(appliance);
  try {
    const { makeJoinToken } = await import('../wire/join-token.ts');
    const { address, port } = appliance;
    const { text, tokenId, tokenSha256 } = makeJoinToken({ address, port, caSha256 });
    const expiresAtMs = context.clock.now() + TOKEN_MS;
    const replaces = ask.replaces === undefined ? {} : { replaces: ask.replaces };
    const stored: StoredOffer = { text, applianceId: appliance.id, expiresAtMs, ...replaces };
    await context.secrets.set(offerName(tokenId), JSON.stringify(stored));
    await session.offerJoin({ tokenId, tokenSha256, expiresAtMs });
    return { appliance, tokenText: text, expiresAtMs };
  } finally {
    await session.close();
  }
}

export interface MasterView {
  readonly master: Master;
  readonly appliance: string;
  /** `unknown`: its appliance could not be asked. */
  readonly state: 'connected' | 'away' | 'unknown';
  readonly lastSeenMs?: number;
  readonly engineVersion?: string;
}

export interface MasterList {
  readonly masters: readonly MasterView[];
  /** Names of those that came in by this very call. */
  readonly joined: readonly string[];
  /** Joins that were refused, appliances that did not answer: sentences for the person. */
  readonly problems: readonly string[];
}

/** Asks every appliance: lets in who waits with a good proof, takes over newer inventories, tells who is connected. */
export async function listMasters(
  context: Context,
  ask: { readonly appliance?: string } = {},
): Promise<MasterList> {
  const appliances = ask.appliance
    ? [await applianceNamed(context, ask.appliance)]
    : // One that never enrolled has no masters, and dialling it would only make this slow.
      (await context.store.appliances.list()).filter((one) => one.enrolment === 'enrolled');
  const identity = await openAuthority(context);
  const visits = await Promise.all(appliances.map((appliance) => visit(context, appliance, identity)));
  const ids = new Set(appliances.map((appliance) => appliance.id));
  const masters = (await context.store.masters.list()).filter(
    (one) => !ask.appliance || ids.has(one.applianceId),
  );
  const names = new Map((await context.store.appliances.list()).map((one) => [one.id, one.name]));
  return {
    masters: masters.map((master) =>
      viewOf(
        master,
        names.get(master.applianceId) ?? '(removed)',
        visits.find((one) => one.applianceId === master.applianceId),
      ),
    ),
    joined: visits.flatMap((one) => one.joined),
    problems: visits.flatMap((one) => one.problems),
  };
}

interface Visit {
  readonly applianceId: string;
  /** Undefined when the appliance could not be asked. */
  readonly presences?: readonly MasterPresence[];
  readonly joined: readonly string[];
  readonly problems: readonly string[];
}

async function visit(context: Context, appliance: Appliance, identity: ControlIdentity): Promise<Visit> {
  const joined: string[] = [];
  const problems: string[] = [];
  let session: ControlSession;
  try {
    session = await context.connect(appliance);
  } catch (error) {
    if (!isStandbyError(error) || error.kind === 'cancelled') throw error;
    const text = error.next ? `${error.message} ${error.next}` : error.message;
    return { applianceId: appliance.id, joined, problems: [text] };
  }
  try {
    for (const pending of await session.pendingJoins()) {
      const outcome = await letIn(context, { appliance, identity, session, pending });
      if (outcome.kind === 'joined') joined.push(outcome.name);
      else problems.push(outcome.problem);
    }
    const presences = await session.masters();
    await takeInventories(context, presences);
    return { applianceId: appliance.id, presences, joined, problems };
  } finally {
    await session.close();
  }
}

type Outcome =
  | { readonly kind: 'joined'; readonly name: string }
  | { readonly kind: 'refused'; readonly problem: string };

async function letIn(
  context: Context,
  facts: {
    readonly appliance: Appliance;
    readonly identity: ControlIdentity;
    readonly session: ControlSession;
    readonly pending: PendingJoin;
  },
): Promise<Outcome> {
  const { appliance, identity, session, pending } = facts;
  const { tokenId, requestPem, inventory } = pending;
  const name = inventory.hostName;
  const stored = await context.secrets.get(offerName(tokenId));
  const offer = stored === undefined ? undefined : (JSON.parse(stored) as StoredOffer);
  const problem = await joinProblem(context, offer, facts);
  if (problem)
    return { kind: 'refused', problem: `${name} was not let in through ${appliance.name}: ${problem}` };
  const masterId = offer?.replaces ?? masterIdOf(tokenId);
  const { signRequest } = await import('../wire/certificates.ts');
  const uri = `standby:master:${masterId}`;
  const certificatePem = await signRequest({
    authority: identity.authority,
    requestPem,
    uri,
    days: MASTER_CERTIFICATE_DAYS,
    nowMs: context.clock.now(),
  });
  const joinedAtMs = context.clock.now();
  // One that takes a master's place is not known by what its disks hold now: they are about to be written.
  await saveMaster(context, { id: masterId, name, applianceId: appliance.id, inventory, joinedAtMs });
  await session.grantJoin({ tokenId, masterId, certificatePem });
  await context.secrets.remove(offerName(tokenId));
  context.log.info('master joined', { master: name, appliance: appliance.name });
  return { kind: 'joined', name };
}

/** Another process may look at the same moment and write the very same master down first. */
async function saveMaster({ store }: Context, master: Master): Promise<void> {
  if (await store.masters.get(master.id)) return;
  try {
    await store.masters.insert(master);
  } catch (error) {
    if (!(await store.masters.get(master.id))) throw error;
  }
}

/** The same token gives the same id, so a join that was interrupted is the same join. */
function masterIdOf(tokenId: string): string {
  return shortId(`master/${tokenId}`, 16);
}

async function joinProblem(
  context: Context,
  offer: StoredOffer | undefined,
  facts: { readonly appliance: Appliance; readonly pending: PendingJoin },
): Promise<string | undefined> {
  const { appliance, pending } = facts;
  const again = `Make a new token: standby master token --appliance ${appliance.name}`;
  if (!offer || offer.applianceId !== appliance.id)
    return `its token is not one of ours, or was used. ${again}`;
  if (offer.expiresAtMs < context.clock.now()) return `its token ended after an hour. ${again}`;
  const { verifyJoinProof } = await import('../wire/join-token.ts');
  if (!verifyJoinProof(offer.text, pending))
    return 'its proof is wrong; whoever it is does not hold the token.';
  if (offer.replaces !== undefined) {
    const isKnown = await context.store.masters.get(offer.replaces);
    return isKnown ? undefined : 'the master whose place it takes is not known here any more.';
  }
  const taken = await context.store.masters.byName(pending.inventory.hostName);
  if (!taken || taken.id === masterIdOf(pending.tokenId)) return undefined;
  return (
    'there is already a master of that host name. ' +
    `If it is the same server, forget the old one: standby master remove ${taken.name}`
  );
}

async function takeInventories(context: Context, presences: readonly MasterPresence[]): Promise<void> {
  for (const { masterId, inventory } of presences) {
    const saved = inventory && (await context.store.masters.get(masterId));
    if (!saved || inventory.takenAtMs <= saved.inventory.takenAtMs) continue;
    // Its name is what scenarios and people know it by; a renamed host keeps it here.
    const update = { ...inventory, ...ofTheServer(saved.inventory, inventory) };
    await context.store.masters.update(masterId, (master) => ({ ...master, inventory: update }));
  }
}

/**
 * Host name and NICs are kept by an engine from its joining on. Hardware that a server was restored onto joined as the
 * rescue system that wrote its disks: the server on these disks is called, and reached, as before.
 */
function ofTheServer(before: MasterInventory, now: MasterInventory): Partial<MasterInventory> {
  if (now.hostName === before.hostName) return {};
  const { hostName, nics } = before;
  return now.os.family === 'windows' ? { hostName } : { hostName, nics };
}

/** What its engine told the appliance last, taken over; the record as it is when the appliance does not answer. */
export async function refreshedMaster(context: Context, master: Master): Promise<Master> {
  const appliance = await context.store.appliances.get(master.applianceId);
  if (appliance?.enrolment !== 'enrolled') return master;
  try {
    const session = await context.connect(appliance);
    try {
      await takeInventories(context, await session.masters());
    } finally {
      await session.close();
    }
  } catch (error) {
    if (!isStandbyError(error) || error.kind === 'cancelled') throw error;
  }
  return (await context.store.masters.get(master.id)) ?? master;
}

function viewOf(master: Master, appliance: string, visited: Visit | undefined): MasterView {
  const presence = visited?.presences?.find((one) => one.masterId === master.id);
  if (!visited?.presences) return { master, appliance, state: 'unknown' };
  return {
    master,
    appliance,
    state: presence?.connected ? 'connected' : 'away',
    ...(presence?.lastSeenMs === undefined ? {} : { lastSeenMs: presence.lastSeenMs }),
    ...(presence?.engineVersion === undefined ? {} : { engineVersion: presence.engineVersion }),
  };
}

/** The master of that host name, or an input error that names those there are. */
export async function masterNamed(context: Pick<Context, 'store'>, name: string): Promise<Master> {
  const master = await context.store.masters.byName(name.trim());
  if (master) return master;
  const names = (await context.store.masters.list()).map((one) => one.name);
  throw inputError(
    'MASTER_UNKNOWN',
    `There is no master ${name}.`,
    names.length > 0 ? `Choose one of: ${names.join(', ')}.` : 'Let one join first: standby master token',
  );
}

/** Forgets a master; refused while scenarios protect it. */
export async function removeMaster(context: Context, name: string): Promise<Master> {
  const master = await masterNamed(context, name);
  const users = (await context.store.scenarios.list()).filter((one) => one.masterId === master.id);
  if (users.length > 0) {
    throw inputError(
      'MASTER_IN_USE',
      `The master ${master.name} cannot be removed: scenario ${users.map((one) => one.name).join(', ')} protects it.`,
      'Remove that first.',
    );
  }
  await context.store.masters.remove(master.id);
  return master;
}

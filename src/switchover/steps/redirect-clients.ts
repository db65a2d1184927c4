/**
 * Sends clients to the standby: its address goes into the A record that the scenario names. The value of before is kept
 * first in the checkpoint, then in the output and in the status, so that undo and `vm stop` can put it back.
 *
 * Dies at any line: the record is the old or the new one; the next try looks, and when it already is the new one it takes
 * the value of before from what was kept. Undo puts the old value back, unless somebody else has changed the record
 * since: that is left alone, and said.
 *
 * It stands before the commit point, because a redirection can be taken back as long as the switchover can. A DNS server
 * that does not answer must not keep a standby from going live: the operator may leave the redirection out.
 */
import { isStandbyError, StandbyError } from '../../errors.ts';
import type { RedirectedRecord, ScenarioRedirect } from '../../model/redirect.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import type { RecordState, Redirect } from '../../redirect/redirect.ts';
import { CLOUD_RETRY } from '../durably.ts';
import type { Work } from '../work.ts';
import type { NicAddresses } from './prove-boot.ts';

export const REDIRECT_CLIENTS = 'redirect-clients';
const TTL_SECONDS_OF_A_NEW_RECORD = 300;

export interface Redirected {
  readonly record?: RedirectedRecord;
  /** The operator has left it out. */
  readonly leftOut?: true;
}

export function redirectClientsStep(
  work: Work,
  settings: ScenarioRedirect,
  addressesOf: (context: StepContext) => NicAddresses | undefined,
): Step<Redirected> {
  return {
    id: REDIRECT_CLIENTS,
    title: `Send clients to the standby (${settings.name})`,
    actions: redirectActions(settings),
    retry: CLOUD_RETRY,
    async run(context) {
      if (work.leaveOut?.redirect) return leaveOut(work, context);
      try {
        return { record: await redirect(work, settings, addressesOf(context), context) };
      } catch (error) {
        throw orLeaveOut(work, error);
      }
    },
    async undo(context, out) {
      const record = out?.record ?? (context.checkpoint as RedirectedRecord | undefined);
      if (!record || work.leaveOut?.redirect) return;
      const back = await putBack(await redirectOf(work), record);
      if (!back) context.progress(`${record.name} is no longer what this run made it; it was left alone`);
      await work.setStatus({ redirected: undefined });
    },
  };
}

/**
 * An earlier try may have changed the record without hearing of it: then clients do find the standby, and that is said.
 * When nobody can tell, the value of before stays known, so that whoever stops the standby or comes home looks again.
 */
async function leaveOut(work: Work, context: StepContext): Promise<Redirected> {
  const tried = context.checkpoint as RedirectedRecord | undefined;
  if (!tried) return { leftOut: true };
  const now = await lookIfPossible(work);
  if (now && !isSame(now, tried.after)) return { leftOut: true };
  await work.setStatus({ redirected: tried });
  return now ? { record: tried } : { leftOut: true };
}

async function lookIfPossible(work: Work): Promise<RecordState | undefined> {
  try {
    return await (await redirectOf(work)).current();
  } catch (error) {
    if (!isStandbyError(error)) throw error;
    return undefined;
  }
}

async function redirect(
  work: Work,
  settings: ScenarioRedirect,
  addresses: NicAddresses | undefined,
  context: StepContext,
): Promise<RedirectedRecord> {
  const address = addressFor(work, settings, addresses);
  const dns = await redirectOf(work);
  const now = await dns.current();
  const ttlSeconds = settings.ttlSeconds ?? (now.ttlSeconds || TTL_SECONDS_OF_A_NEW_RECORD);
  const after: RecordState = { addresses: [address], ttlSeconds };
  const isDone = isSame(now, after);
  const kept = (context.checkpoint as RedirectedRecord | undefined) ?? (await work.status()).redirected;
  const before = isDone && kept?.name === settings.name ? kept.before : now;
  const record: RedirectedRecord = { name: settings.name, before, after };
  await context.save(record);
  if (!isDone) await dns.change(now, after);
  context.progress(`${dns.title}: ${before.addresses.join(', ') || 'no record'} is now ${address}`);
  await work.setStatus({ redirected: record });
  return record;
}

export function redirectActions({ kind }: Pick<ScenarioRedirect, 'kind'>): readonly string[] {
  if (kind === 'dns-update') return [];
  return actionsOf('dns.hasZone', 'dns.aRecord', 'dns.setARecord', 'dns.removeARecord');
}

/** True when the old value stands again; false when somebody else has changed the record. */
export async function putBack(dns: Redirect, { before, after }: RedirectedRecord): Promise<boolean> {
  const now = await dns.current();
  if (isSame(now, before)) return true;
  if (!isSame(now, after)) return false;
  await dns.change(now, before);
  return true;
}

function isSame(a: RecordState, b: RecordState): boolean {
  return a.addresses.toSorted().join() === b.addresses.toSorted().join();
}

export async function redirectOf(work: Work): Promise<Redirect> {
  if (work.redirect) return work.redirect();
  throw new Error(`scenario ${work.scenario.name} has a redirection that nobody can carry out`);
}

function addressFor(work: Work, settings: ScenarioRedirect, addresses: NicAddresses | undefined): string {
  const { publicIp, privateIp } = addresses ?? {};
  const isPrivate = publicIp === undefined || settings.kind === 'azure-private-dns';
  const wanted = settings.address ?? (isPrivate ? 'private' : 'public');
  const address = wanted === 'public' ? publicIp : privateIp;
  if (address !== undefined) return address;
  throw new StandbyError({
    code: 'NO_ADDRESS',
    what: `The standby has no ${wanted} address that ${settings.name} could be set to.`,
    next: `Go live without it: standby switchover ${work.scenario.name} --no-redirect`,
  });
}

function orLeaveOut(work: Work, error: unknown): unknown {
  if (!(error instanceof StandbyError) || error.code === 'NO_ADDRESS') return error;
  const { code, what, why, retry } = error;
  return new StandbyError({
    code,
    what,
    ...(why === undefined ? {} : { why }),
    next: `${error.next ?? ''} Or go live without it, and tell people the new address: standby switchover ${work.scenario.name} --no-redirect`.trim(),
    retry,
    cause: error,
  });
}

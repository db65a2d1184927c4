import type { Clock } from '../clock.ts';
import { isStandbyError, StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Appliance } from '../model/appliance.ts';
import type { Store } from '../ports/store.ts';
import type { ControlSession } from '../wire/control-session.ts';
import { type ControlIdentity, openAuthority } from './authority.ts';
import type { Context, Secrets } from './context.ts';

/** Where an appliance's one-time enrolment token lies until it has been used. */
export function applianceTokenName(applianceId: string): string {
  return `appliance/${applianceId}/token`;
}

interface Parts {
  readonly store: Store;
  readonly secrets: Secrets;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Dials an appliance; enrols it first when its one-time token has not been used yet.
 *
 * Enrolling changes the appliance first (it keeps its certificate, the token is dead there), then our record, then
 * the stored token goes. If we die in between, or another process was faster, the record says `pending` while the
 * appliance already speaks mutual TLS: so a failed enrolment is followed by an ordinary dial, which settles it.
 */
export function makeConnect(parts: Parts): Context['connect'] {
  return async (known) => {
    const appliance = (await parts.store.appliances.get(known.id)) ?? known;
    const identity = await openAuthority(parts);
    if (appliance.enrolment === 'pending') await enrol(parts, appliance, identity);
    return dial(parts, appliance, identity);
  };
}

async function dial(parts: Parts, appliance: Appliance, identity: ControlIdentity): Promise<ControlSession> {
  const { connectControl } = await import('../wire/control-client.ts');
  const { address, port, id: applianceId } = appliance;
  const { credentials } = identity;
  try {
    return await connectControl({ address, port, credentials, applianceId, clock: parts.clock });
  } catch (error) {
    throw unreachable(appliance, error);
  }
}

async function enrol(parts: Parts, appliance: Appliance, identity: ControlIdentity): Promise<void> {
  const token = await parts.secrets.get(applianceTokenName(appliance.id));
  if (token === undefined) return settle(parts, appliance, identity, undefined);
  const { enrolAppliance } = await import('../wire/enrol-client.ts');
  try {
    await enrolAppliance({
      address: appliance.address,
      port: appliance.port,
      applianceId: appliance.id,
      token,
      authority: identity.authority,
      addresses: [appliance.address],
      clock: parts.clock,
    });
  } catch (error) {
    if (!isStandbyError(error)) throw error;
    if (error.code === 'APPLIANCE_UNREACHABLE') throw unreachable(appliance, error);
    return settle(parts, appliance, identity, error);
  }
  parts.log.info('appliance enrolled', { appliance: appliance.name });
  await recordEnrolled(parts, appliance);
}

/** It did not enrol: because it is enrolled already (another process, or we died before we wrote it), or truly not. */
async function settle(
  parts: Parts,
  appliance: Appliance,
  identity: ControlIdentity,
  enrolError: StandbyError | undefined,
): Promise<void> {
  let session: ControlSession;
  try {
    session = await dialOnceEnrolled(parts, appliance, identity);
  } catch (error) {
    if (!isStandbyError(error)) throw error;
    if (!enrolError) throw tokenLost(appliance, error);
    // Enrolled, but not with us: what the dial says tells more than that the token is used.
    throw enrolError.code === 'ALREADY_ENROLLED' ? error : unreachable(appliance, enrolError);
  }
  await session.close();
  await recordEnrolled(parts, appliance);
}

const OTHER_ENROLS_MS = 3_000;
const LOOK_AGAIN_MS = 100;

/** Another process may be enrolling it at this very moment: it is given a little time to end. */
async function dialOnceEnrolled(
  parts: Parts,
  appliance: Appliance,
  identity: ControlIdentity,
): Promise<ControlSession> {
  const untilMs = parts.clock.now() + OTHER_ENROLS_MS;
  for (;;) {
    try {
      return await dial(parts, appliance, identity);
    } catch (error) {
      const cause = isStandbyError(error) ? error.cause : undefined;
      const notYet = isStandbyError(cause) && cause.code === 'APPLIANCE_NOT_ENROLLED';
      if (!notYet || parts.clock.now() > untilMs) throw error;
    }
    await parts.clock.sleep(LOOK_AGAIN_MS);
  }
}

async function recordEnrolled(parts: Parts, appliance: Appliance): Promise<void> {
  const { appliances } = parts.store;
  if (await appliances.get(appliance.id)) {
    await appliances.update(appliance.id, (saved) => ({ ...saved, enrolment: 'enrolled' }));
  }
  await parts.secrets.remove(applianceTokenName(appliance.id));
}

function unreachable(appliance: Appliance, error: unknown): unknown {
  if (!isStandbyError(error) || error.kind === 'cancelled' || error.kind === 'interrupted') return error;
  return new StandbyError({
    code: 'APPLIANCE_UNREACHABLE',
    what: `The appliance ${appliance.name} (${appliance.address}:${appliance.port}) cannot be used.`,
    why: error.why ? `${error.what} ${error.why}` : error.what,
    next: `standby appliance check ${appliance.name}`,
    retry: error.retry,
    cause: error,
  });
}

function tokenLost(appliance: Appliance, cause: StandbyError): StandbyError {
  return new StandbyError({
    code: 'APPLIANCE_UNREACHABLE',
    what: `The appliance ${appliance.name} cannot be enrolled.`,
    why: `Its one-time token is no longer stored, and it does not answer as enrolled: ${cause.message}`,
    next: `Remove the appliance ${appliance.name} and add it again.`,
    cause,
  });
}

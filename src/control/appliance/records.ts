import { randomBytes, randomUUID } from 'node:crypto';
import { isIP } from 'node:net';
import { inputError, StandbyError } from '../../errors.ts';
import { type Appliance, ENGINE_PORT } from '../../model/appliance.ts';
import type { Question } from '../../model/question.ts';
import { openAuthority } from '../authority.ts';
import { applianceTokenName } from '../connect.ts';
import type { Context } from '../context.ts';
import { textOf } from '../screen.ts';

/** What control remembers of its appliances, and the ones that are servers of one's own. */
export async function listAppliances(context: Pick<Context, 'store'>): Promise<readonly Appliance[]> {
  return context.store.appliances.list();
}

/** The appliance of that name, or an input error that names those there are. */
export async function applianceNamed(context: Pick<Context, 'store'>, name: string): Promise<Appliance> {
  const appliance = await context.store.appliances.byName(name.trim());
  if (appliance) return appliance;
  const names = (await context.store.appliances.list()).map((one) => one.name);
  throw inputError(
    'APPLIANCE_UNKNOWN',
    `There is no appliance ${name}.`,
    names.length > 0
      ? `Choose one of: ${names.join(', ')}.`
      : 'Make one: standby appliance deploy - or add a server of your own: standby appliance add',
  );
}

/** 256 bits, so that guessing is no way in; used once. */
export function makeEnrolmentToken(): string {
  return randomBytes(32).toString('base64url');
}

export interface OwnAppliance {
  readonly appliance: Appliance;
  /** Content of the file for `standby engine appliance --enrol FILE`. Holds the one-time token: shown once, mode 0600. */
  readonly enrolFileText: string;
}

/** Remembers a server of one's own and makes its one-time token. The server is not dialled yet: its engine has no token. */
export async function addOwnAppliance(
  context: Context,
  answers: { readonly name: string; readonly address: string; readonly port?: number },
): Promise<OwnAppliance> {
  const values: Readonly<Record<string, unknown>> = { port: ENGINE_PORT, ...answers };
  for (const question of ownApplianceQuestions()) {
    const problem = question.validate?.(values[question.name]);
    if (problem) throw inputError('ANSWER_WRONG', `${question.message}: ${problem}`);
  }
  const appliance: Appliance = {
    id: randomUUID(),
    name: answers.name.trim(),
    address: answers.address.trim(),
    port: answers.port ?? ENGINE_PORT,
    enrolment: 'pending',
    createdAtMs: context.clock.now(),
  };
  const { caSha256 } = await openAuthority(context);
  const token = makeEnrolmentToken();
  await context.secrets.set(applianceTokenName(appliance.id), token);
  try {
    await context.store.appliances.insert(appliance);
  } catch (error) {
    await context.secrets.remove(applianceTokenName(appliance.id));
    throw error;
  }
  const enrolFileText = `${JSON.stringify({ applianceId: appliance.id, token, caSha256 })}\n`;
  return { appliance, enrolFileText };
}

export function ownApplianceQuestions(): readonly Question[] {
  return [
    { name: 'name', kind: 'text', message: 'Appliance name', validate: machineNameProblem },
    {
      name: 'address',
      kind: 'text',
      message: 'Host name or IP address',
      hint: 'where this machine and the masters reach it',
      validate: (value) =>
        isIP(textOf(value)) > 0 || /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i.test(textOf(value))
          ? undefined
          : 'This is neither a host name nor an IP address.',
    },
    {
      name: 'port',
      kind: 'number',
      message: 'Port of the engine',
      default: ENGINE_PORT,
      validate: (value) =>
        Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65535
          ? undefined
          : 'A port is a whole number from 1 to 65535.',
    },
  ];
}

/** A Linux VM's name in Azure: 1 to 64 letters, digits and hyphens, not at an end (the strict set of Microsoft's rules). */
export function machineNameProblem(value: unknown): string | undefined {
  if (/^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$/i.test(textOf(value))) return undefined;
  return 'A name has 1 to 64 letters, digits and hyphens, and begins and ends with a letter or digit.';
}

/**
 * Forgets an appliance. Refused while masters or scenarios go through it. What it has in Azure stays there and is
 * named, because replica disks may be attached to it.
 */
export async function removeAppliance(context: Context, name: string): Promise<Appliance> {
  const appliance = await applianceNamed(context, name);
  const scenarios = (await context.store.scenarios.list()).filter((one) => one.applianceId === appliance.id);
  const masters = (await context.store.masters.list()).filter((one) => one.applianceId === appliance.id);
  const users = [
    ...scenarios.map((one) => `scenario ${one.name}`),
    ...masters.map((one) => `master ${one.name}`),
  ];
  if (users.length > 0) {
    throw new StandbyError({
      code: 'APPLIANCE_IN_USE',
      what: `The appliance ${appliance.name} cannot be removed.`,
      why: `It is used by ${users.join(', ')}.`,
      next: 'Remove those first.',
      kind: 'input',
    });
  }
  await context.store.appliances.remove(appliance.id);
  await context.secrets.remove(applianceTokenName(appliance.id));
  return appliance;
}

import { join } from 'node:path';
import { z } from 'zod';
import { readStateJson, writeStateFile } from '../block/state-file.ts';
import { StandbyError } from '../errors.ts';
import type { Credentials } from '../wire/certificates.ts';

/** Who this appliance is: one file, written once at the enrolment, whole or not at all. */
export interface ApplianceIdentity extends Credentials {
  readonly applianceId: string;
}

export interface Enrolment {
  readonly applianceId: string;
  readonly token: string;
  readonly caSha256: string;
}

const identitySchema = z.object({
  applianceId: z.string(),
  certificatePem: z.string(),
  keyPem: z.string(),
  caPem: z.string(),
});

const enrolmentSchema = z.object({
  applianceId: z.string().min(1).max(128),
  token: z.string().min(16).max(512),
  caSha256: z.string().regex(/^[0-9a-fA-F]{64}$/),
});

const identityPath = (stateFolder: string) => join(stateFolder, 'identity.json');

export function readIdentity(stateFolder: string): Promise<ApplianceIdentity | undefined> {
  return readStateJson(identityPath(stateFolder), identitySchema);
}

export function writeIdentity(stateFolder: string, identity: ApplianceIdentity): Promise<void> {
  return writeStateFile(identityPath(stateFolder), JSON.stringify(identity));
}

export async function readEnrolment(enrolFile: string | undefined): Promise<Enrolment> {
  const enrolment = enrolFile === undefined ? undefined : await readStateJson(enrolFile, enrolmentSchema);
  if (enrolment) return enrolment;
  throw new StandbyError({
    code: 'APPLIANCE_UNKNOWN',
    what: 'This appliance has no certificate and no enrolment to get one.',
    why: enrolFile === undefined ? 'No enrolment file was named.' : `There is no file ${enrolFile}.`,
    next: 'Run `standby appliance deploy` or `standby appliance add`, and start the engine with what it gives.',
    kind: 'input',
  });
}

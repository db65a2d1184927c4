import { join } from 'node:path';
import { z } from 'zod';
import { readStateJson, writeStateFile } from '../block/state-file.ts';
import { inventorySchema } from '../wire/inventory.ts';

/** Who this master is and where its appliance is: one file, 0600, whole or not there. */
const identitySchema = z.object({
  masterId: z.string(),
  /** The token it joined with: joining with it again finds that it is done. */
  tokenId: z.string(),
  appliance: z.object({ id: z.string(), address: z.string(), port: z.number() }),
  certificatePem: z.string(),
  keyPem: z.string(),
  caPem: z.string(),
  inventory: inventorySchema,
});
export type MasterIdentity = z.infer<typeof identitySchema>;

/** A join that waits for its certificate. The key stays the same when the command is interrupted and run again. */
const joiningSchema = z.object({ tokenId: z.string(), keyPem: z.string(), requestPem: z.string() });
export type Joining = z.infer<typeof joiningSchema>;

export const identityPath = (stateFolder: string) => join(stateFolder, 'master.json');
export const joiningPath = (stateFolder: string) => join(stateFolder, 'joining.json');

export function readMasterIdentity(stateFolder: string): Promise<MasterIdentity | undefined> {
  return readStateJson(identityPath(stateFolder), identitySchema);
}

export function writeMasterIdentity(stateFolder: string, identity: MasterIdentity): Promise<void> {
  return writeStateFile(identityPath(stateFolder), JSON.stringify(identity));
}

export function readJoining(stateFolder: string): Promise<Joining | undefined> {
  return readStateJson(joiningPath(stateFolder), joiningSchema);
}

export function writeJoining(stateFolder: string, joining: Joining): Promise<void> {
  return writeStateFile(joiningPath(stateFolder), JSON.stringify(joining));
}

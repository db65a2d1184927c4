import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Authority, makeKeyAndRequest, signRequest } from '../src/wire/certificates.ts';

/** What the peers' TLS needs: a certificate for stunnel and socat, a key for NBD. */
export interface PeerSecrets {
  /** Key and certificate in one file. */
  readonly serverFile: string;
  readonly caFile: string;
  /** `peer:<hex>`, in a folder of its own as QEMU wants it. */
  readonly pskFile: string;
  readonly pskFolder: string;
}

export async function makePeerSecrets(folder: string, authority: Authority): Promise<PeerSecrets> {
  const { keyPem, requestPem } = await makeKeyAndRequest();
  const uri = 'standby:appliance:peer';
  const certificatePem = await signRequest({ authority, requestPem, uri, addresses: ['127.0.0.1'], days: 2 });
  const serverFile = join(folder, 'server.pem');
  const caFile = join(folder, 'ca.pem');
  const pskFile = join(folder, 'keys.psk');
  const mode = 0o600;
  await writeFile(serverFile, `${keyPem}\n${certificatePem}\n`, { mode });
  await writeFile(caFile, authority.certificatePem);
  await writeFile(pskFile, `peer:${randomBytes(32).toString('hex')}\n`, { mode });
  return { serverFile, caFile, pskFile, pskFolder: folder };
}

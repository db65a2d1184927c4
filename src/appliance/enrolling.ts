import type { TLSSocket } from 'node:tls';
import { StandbyError } from '../errors.ts';
import {
  assertCredentials,
  makeKeyAndRequest,
  makeSelfSigned,
  sha256OfCertificate,
} from '../wire/certificates.ts';
import type { Connection, Handlers } from '../wire/connection.ts';
import { enrolmentProof, sameProof } from '../wire/enrolment.ts';
import { ALPN } from '../wire/limits.ts';
import { type ApplianceIdentity, type Enrolment, writeIdentity } from './identity.ts';
import type { Door } from './listener.ts';

/**
 * The appliance's side of its enrolment. Promises: nothing is said before control proved that it knows the token, and
 * only a certificate of the named authority for our own key is stored. Dies before the identity file is written:
 * the token still works. After: it is never looked at again.
 */
export async function enrolmentDoor(options: {
  readonly enrolment: Enrolment;
  readonly stateFolder: string;
  /** Awaited before control hears that it is done: the next dial meets the engines' door. */
  readonly onEnrolled: (identity: ApplianceIdentity) => Promise<void>;
}): Promise<Door> {
  const selfSigned = await makeSelfSigned();
  const { keyPem, requestPem } = await makeKeyAndRequest();
  let over = false;

  const store = async (certificatePem: string, caPem: string): Promise<void> => {
    const { applianceId, caSha256 } = options.enrolment;
    if (over)
      throw new StandbyError({ code: 'ALREADY_ENROLLED', what: 'This appliance was enrolled just now.' });
    if (sha256OfCertificate(caPem) !== caSha256.toLowerCase()) {
      throw new StandbyError({
        code: 'CERTIFICATE_WRONG',
        what: 'The certificate authority is not the one this appliance was made for.',
      });
    }
    const identity = { applianceId, certificatePem, keyPem, caPem };
    assertCredentials(identity, { role: 'appliance', id: applianceId });
    over = true;
    await writeIdentity(options.stateFolder, identity);
    await options.onEnrolled(identity);
  };

  const prove = async (
    socket: TLSSocket,
    given: { applianceId: string; proof: string },
    connection: Connection,
  ) => {
    const { applianceId, token } = options.enrolment;
    const expected = enrolmentProof(socket, 'control', applianceId, token);
    if (over || given.applianceId !== applianceId || !sameProof(expected, given.proof)) {
      connection.drop('its enrolment proof is wrong');
      throw new StandbyError({ code: 'ENROLMENT_REFUSED', what: 'The proof is wrong.' });
    }
    connection.prove({
      enrolStore: async ({ certificatePem, caPem }) => {
        await store(certificatePem, caPem);
        return {};
      },
    });
    return { proof: enrolmentProof(socket, 'appliance', applianceId, token), requestPem };
  };

  return {
    ...selfSigned,
    protocols: [ALPN.enrol],
    greet: ({ socket }): Handlers => ({
      enrolProve: (given, connection) => prove(socket, given, connection),
    }),
  };
}

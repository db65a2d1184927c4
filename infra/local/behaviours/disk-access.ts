import { ArmError } from '../arm/arm-error.ts';
import type { Action, Resource } from '../arm/behaviour.ts';
import { booleanAt, type JsonObject, numberAt, textAt } from '../arm/json.ts';
import { diskAction } from '../arm/operation-shape.ts';
import { requiredMissing } from './references.ts';

/**
 * beginGetAccess and endGetAccess of disks and snapshots. The URL serves the bytes of the disk as they are, without a
 * VHD footer, until it expires; nothing can be written through it (501), and endGetAccess does not revoke it.
 */
const UPLOADS = ['Upload', 'UploadPreparedSecure'];

export function isUpload(resource: Resource): boolean {
  return UPLOADS.includes(textAt(resource.properties, 'creationData.createOption') ?? '');
}

/** What is shown of a disk or snapshot that nobody holds. */
export function accessState(resource: Resource): string {
  const access = textAt(resource.hidden, 'access');
  if (access === 'Write') return 'ActiveUpload';
  if (access === 'Read') return 'ActiveSAS';
  return isUpload(resource) && resource.hidden.uploaded !== true ? 'ReadyToUpload' : 'Unattached';
}

const beginGetAccess: Action = {
  kind: 'operation',
  shape: diskAction,
  before(context, resource, ask) {
    const access = textAt(ask.body, 'access');
    const seconds = numberAt(ask.body, 'durationInSeconds');
    if (access !== 'Read' && access !== 'Write') throw requiredMissing('grantAccessData.access');
    if (seconds === undefined) throw requiredMissing('grantAccessData.durationInSeconds');
    if (access === 'Write' && accessState(resource) === 'Unattached') {
      throw new ArmError(
        409,
        'OperationNotAllowed',
        `Write access to ${resource.name} is not allowed: only a disk in the state ReadyToUpload can be written to.`,
      );
    }
    context.graph.update(resource.id, (stored) => {
      stored.hidden.access = access;
    });
    const expiresAtMs = context.clock.now() + seconds * 1000;
    return { expiresAtMs, secure: booleanAt(ask.body, 'getSecureVMGuestStateSAS') ?? false };
  },
  async run(context, resource, work) {
    const url = context.fileUrl(
      textAt(resource.hidden, 'file') ?? '',
      numberAt(work.carry, 'expiresAtMs') ?? 0,
    );
    const secure: JsonObject = booleanAt(work.carry, 'secure') ? { securityDataAccessSAS: url } : {};
    return { accessSAS: url, ...secure };
  },
};

const endGetAccess: Action = {
  kind: 'operation',
  shape: diskAction,
  before(context, resource) {
    context.graph.update(resource.id, (stored) => {
      if (stored.hidden.access === 'Write') stored.hidden.uploaded = true;
      delete stored.hidden.access;
    });
    return {};
  },
  run: async () => undefined,
};

export const accessActions: Readonly<Record<string, Action>> = { beginGetAccess, endGetAccess };

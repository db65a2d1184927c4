import type { Snapshot } from '@azure/arm-compute';
import { StandbyError } from '../../../src/errors.ts';
import type { CloudDisks, CloudSnapshot } from '../../../src/ports/cloud.ts';
import { parseArmId } from '../arm-id.ts';
import type { Azure } from '../azure.ts';
import { type Sight, sightOf } from '../lookout.ts';
import { ensureResource, removeResource } from '../ownership.ts';

type Snapshots = Pick<CloudDisks, 'getSnapshot' | 'createSnapshot' | 'deleteSnapshot'>;

const COMPLETE_MAX_MS = 2 * 3_600_000;
/** Looked at meanwhile; read for certain each time this is over. */
const COMPLETE_PAUSE_MS = 10_000;

/** Snapshots of managed disks. */
export function makeSnapshots(azure: Azure): Snapshots {
  const { calls, clients } = azure;

  async function find(resourceGroup: string, name: string): Promise<Snapshot | undefined> {
    const client = await clients.compute();
    return calls.find(`The snapshot ${name} could not be read.`, () =>
      client.snapshots.get(resourceGroup, name),
    );
  }

  /** Azure may say `Succeeded` while the data is still being copied: the percentage is what counts. */
  async function whenComplete(
    first: Snapshot,
    sight: Sight<Snapshot>,
    signal?: AbortSignal,
  ): Promise<Snapshot> {
    const { clock, lookout } = calls;
    const name = first.name ?? '';
    const sinceMs = clock.now();
    let snapshot = first;
    while (!isComplete(snapshot)) {
      if (snapshot.copyCompletionError) throw notCompleted(name, snapshot.copyCompletionError.errorMessage);
      if (clock.now() > sinceMs + COMPLETE_MAX_MS) {
        throw notCompleted(name, 'It was not complete after two hours.');
      }
      const times = { sinceMs, untilMs: clock.now() + COMPLETE_PAUSE_MS };
      const again = (await lookout.watch(sight, ended, times, signal)) ?? (await sight.find());
      if (!again) throw notCompleted(name, 'Somebody deleted it.');
      snapshot = again;
    }
    return snapshot;
  }

  return {
    async getSnapshot(resourceGroup, name) {
      const found = await find(resourceGroup, name);
      return found && snapshotOf(found);
    },
    async createSnapshot(spec, operation) {
      const client = await clients.compute();
      const { restorePoller } = await import('@azure/arm-compute');
      const body: Snapshot = {
        location: spec.location,
        sku: { name: 'Standard_LRS' },
        incremental: spec.full !== true,
        creationData: { createOption: 'Copy', sourceResourceId: spec.sourceDiskId },
        tags: { ...spec.tags },
      };
      const sight = sightOf(calls, 'snapshots', spec, find, () =>
        client.snapshots.listByResourceGroup(spec.resourceGroup),
      );
      const made = await ensureResource(
        azure,
        { title: `The snapshot ${spec.name}`, tags: spec.tags },
        sight,
        {
          what: `The snapshot ${spec.name} could not be made.`,
          key: `snapshot/create/${spec.resourceGroup}/${spec.name}`,
          submit: () => client.snapshots.createOrUpdate(spec.resourceGroup, spec.name, body),
          restore: (state) => restorePoller(client, state, client.snapshots.createOrUpdate),
        },
        operation,
      );
      return snapshotOf(await whenComplete(made, sight, operation?.signal));
    },
    async deleteSnapshot(snapshotId, scenario, operation) {
      const { resourceGroup, name } = parseArmId(snapshotId);
      const client = await clients.compute();
      const { restorePoller } = await import('@azure/arm-compute');
      await removeResource(
        azure,
        { title: `The snapshot ${name}`, scenario },
        () => find(resourceGroup, name),
        {
          what: `The snapshot ${name} could not be deleted.`,
          key: `snapshot/delete/${resourceGroup}/${name}`,
          submit: () => client.snapshots.delete(resourceGroup, name),
          restore: (state) => restorePoller(client, state, client.snapshots.delete),
        },
        operation,
      );
    },
  };
}

const ended = (snapshot: Snapshot | undefined) =>
  snapshot && (isComplete(snapshot) || snapshot.copyCompletionError) ? snapshot : undefined;

function isComplete(snapshot: Snapshot): boolean {
  return snapshot.provisioningState === 'Succeeded' && (snapshot.completionPercent ?? 100) >= 100;
}

function notCompleted(name: string, why: string | undefined): StandbyError {
  return new StandbyError({
    code: 'SNAPSHOT_INCOMPLETE',
    what: `The snapshot ${name} did not get complete.`,
    ...(why ? { why } : {}),
    next: 'Delete the snapshot and try again.',
  });
}

function snapshotOf(snapshot: Snapshot): CloudSnapshot {
  const sourceId = snapshot.creationData?.sourceResourceId;
  return {
    id: snapshot.id ?? '',
    name: snapshot.name ?? '',
    provisioning: snapshot.provisioningState ?? 'Unknown',
    ...(sourceId ? { sourceId } : {}),
    ...(snapshot.incremental === undefined ? {} : { incremental: snapshot.incremental }),
    tags: snapshot.tags ?? {},
  };
}

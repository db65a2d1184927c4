import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Authority } from '../src/wire/certificates.ts';
import type { CopyProgress } from '../src/wire/control-session.ts';
import { type Appliance, attachLun, startAppliance, startMaster, untilState } from './engines.ts';
import { makeTarget } from './images.ts';
import type { Running } from './processes.ts';
import type { Stage } from './stage.ts';

/** A disk that our engine serves over NBD, as to a running guest, and perhaps an appliance that follows it. */
export interface Served {
  readonly uri: string;
  readonly appliance: Appliance;
  readonly master: Running;
  readonly target: string;
  /** A first copy to its end, and on from there. */
  follow(): Promise<void>;
  end(): Promise<void>;
}

export const SCENARIO = 'bench';
const OPTIONS = { capture: 'nbd', lanes: 2, compression: 'none' } as const;

export async function serve(
  stage: Stage,
  options: {
    readonly folder: string;
    readonly source: string;
    readonly authority: Authority;
    readonly spoolMib?: number | undefined;
  },
): Promise<Served> {
  const { folder, source, authority, spoolMib } = options;
  const appliance = await startAppliance(stage, folder, authority);
  const { control } = appliance;
  const target = join(folder, 'target.img');
  const sizeBytes = statSync(source).size;
  await makeTarget(stage, target, sizeBytes);
  await attachLun(appliance, 1, target);
  // A socket's path is short.
  const socket = join(stage.folder, `${randomUUID().slice(0, 8)}.sock`);
  const args = ['--nbd', socket, ...(spoolMib === undefined ? [] : ['--spool', String(spoolMib)])];
  const master = await startMaster(stage, appliance, { masterId: 'master', disks: [source], args });
  const disk = { diskId: 'disk0', lun: 1, sizeBytes, blank: true, excluded: [] };
  await control.openReplica({ scenarioId: SCENARIO, masterId: 'master', epoch: 1, disks: [disk] });
  return {
    uri: `nbd+unix:///disk0?socket=${socket}`,
    appliance,
    master,
    target,
    follow: async () => {
      await control.startCopy(SCENARIO, OPTIONS);
      await untilState(stage, control, SCENARIO, ({ state }) => state === 'replicating');
    },
    end: async () => {
      await appliance.end();
      await master.stop();
    },
  };
}

/** Of the stream, what is durable on the appliance, and how many of those changes are not on the replica's disk yet. */
export function standingOf({ replication }: CopyProgress): { received: number; isApplied: boolean } {
  if (!replication) return { received: 0, isApplied: false };
  const { receivedSequence, journal } = replication;
  return { received: Number(receivedSequence), isApplied: journal.unappliedChanges === 0 };
}

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Contestant, contest, type Outcome } from '../contest.ts';
import { assertEqual, makeTarget } from '../images.ts';
import type { CopyCourse, CopyPeer } from '../peers/copy-course.ts';
import type { PeerSecrets } from '../secrets.ts';
import type { Stage } from '../stage.ts';

/** The same image to the same kind of target by every peer, each compared byte for byte behind the clock. */
export interface CopyWork {
  readonly source: string;
  readonly sizeBytes: number;
  readonly old?: string;
  readonly secrets: PeerSecrets;
  readonly rounds: number;
}

export async function contestOfCopies(
  stage: Stage,
  peers: readonly CopyPeer[],
  work: CopyWork,
): Promise<Outcome[]> {
  const { source, sizeBytes, old, secrets, rounds } = work;
  const folder = join(stage.folder, 'run');
  const outcomes = await contest(stage, peers.map(checked), rounds, async () => {
    await rm(folder, { recursive: true, force: true });
    const target = join(folder, 'data', 'target.img');
    await makeTarget(stage, target, sizeBytes, old);
    const own = join(folder, 'own');
    await mkdir(own);
    return { source, target, secrets, folder: own, ...(old === undefined ? {} : { old }) };
  });
  await rm(folder, { recursive: true, force: true });
  return outcomes;
}

function checked(peer: CopyPeer): Contestant<CopyCourse> {
  return {
    ...peer,
    ready: async (stage, course) => ({
      ...(await peer.ready(stage, course)),
      check: () => assertEqual(stage, course.source, course.target),
    }),
  };
}

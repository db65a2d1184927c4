import { makeAuthority } from '../../src/wire/certificates.ts';
import { changeBlocks, imageFacts, makeImage } from '../images.ts';
import { bdsync, blocksyncFast } from '../peers/bdsync.ts';
import { rsync } from '../peers/rsync.ts';
import { standby } from '../peers/standby.ts';
import { type Goal, tableOf, type WorkReport } from '../report.ts';
import { makePeerSecrets } from '../secrets.ts';
import type { Stage } from '../stage.ts';
import { contestOfCopies } from './copies.ts';

/** An older copy is there already; 1 % of its 4 KiB blocks, scattered, are not what they should be. Both ends are read. */
const SHARE = 0.01;
const SMALL = ['--no-whole-file', '-B', '4096'];

const GOALS: readonly Goal[] = [
  { of: 'wall', ours: 'standby', peer: 'rsync -B 4096', atLeast: 2.5 },
  { of: 'wall', ours: 'standby', peer: 'rsync as it comes', atLeast: 6 },
  { of: 'wall', ours: 'standby', peer: 'bdsync', atLeast: 8 },
  { of: 'wall', ours: 'standby', peer: 'blocksync-fast', atLeast: 1.5 },
  { of: 'cpu', ours: 'standby', peer: 'rsync -B 4096', atMost: 0.45 },
  { of: 'wire', ours: 'standby, zstd', peer: 'rsync -B 4096, zstd', atMost: 0.95 },
];

export async function delta(
  stage: Stage,
  { rounds, sizeMib }: { readonly rounds: number; readonly sizeMib: number },
): Promise<WorkReport[]> {
  stage.tell('delta: making the images');
  const old = await makeImage(stage, 'old', sizeMib);
  const { path: source, blocks } = await changeBlocks(stage, old, { name: 'new', share: SHARE });
  const { sizeBytes, allocatedBytes } = imageFacts(source);
  const authority = await makeAuthority();
  const secrets = await makePeerSecrets(stage.folder, authority);
  const options = { capture: 'at-rest', lanes: 2, mode: 'block' } as const;
  const peers = [
    standby('standby', authority, { ...options, compression: 'none' }),
    rsync('rsync -B 4096', SMALL),
    standby('standby, zstd', authority, { ...options, compression: 'zstd' }),
    rsync('rsync -B 4096, zstd', [...SMALL, '-z', '--zc=zstd', '--zl=1']),
    rsync('rsync as it comes', ['--no-whole-file']),
    bdsync('bdsync'),
    blocksyncFast('blocksync-fast'),
  ];
  const outcomes = await contestOfCopies(stage, peers, { source, sizeBytes, old, secrets, rounds });
  const about = { sizeBytes, allocatedBytes, changedBlocks: blocks, rounds };
  return [tableOf('delta', '1 % of the 4 KiB blocks, scattered; both ends read', about, outcomes, GOALS)];
}

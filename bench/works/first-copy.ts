import { makeAuthority } from '../../src/wire/certificates.ts';
import { imageFacts, makeImage } from '../images.ts';
import { ddSocat } from '../peers/dd-socat.ts';
import { nbdcopy } from '../peers/nbdcopy.ts';
import { qemuImg } from '../peers/qemu-img.ts';
import { rsync } from '../peers/rsync.ts';
import { standby } from '../peers/standby.ts';
import { type Goal, tableOf, type WorkReport } from '../report.ts';
import { makePeerSecrets } from '../secrets.ts';
import type { Stage } from '../stage.ts';
import { contestOfCopies } from './copies.ts';

/** A first copy of an ext4 image, half used, without a limit of the link and over 1 Gbit/s. */
const WHOLE = ['--sparse', '--whole-file'];

const GOALS: readonly Goal[] = [
  { of: 'wall', ours: 'standby', peer: 'rsync behind TLS', atLeast: 3 },
  { of: 'wall', ours: 'standby', peer: 'nbdcopy --tls', atLeast: 2 },
  { of: 'wall', ours: 'standby', peer: 'qemu-img --tls', atLeast: 1.6 },
  { of: 'wall', ours: 'standby', peer: 'dd | socat TLS', atLeast: 2 },
  { of: 'wall', ours: 'standby', peer: 'nbdcopy plain', atLeast: 0.45 },
  { of: 'cpu', ours: 'standby', peer: 'nbdcopy --tls', atMost: 0.5 },
];

const GOALS_ON_LINK: readonly Goal[] = [
  { of: 'wall', ours: 'standby, zstd', peer: 'nbdcopy --tls', atLeast: 2.2 },
  { of: 'wall', ours: 'standby, zstd', peer: 'rsync zstd 1, plain', atLeast: 1 },
  { of: 'wire', ours: 'standby, zstd', peer: 'rsync zstd 1, plain', atMost: 1 },
];

export async function firstCopy(
  stage: Stage,
  { rounds, sizeMib }: { readonly rounds: number; readonly sizeMib: number },
): Promise<WorkReport[]> {
  stage.tell('first copy: making the image');
  const source = await makeImage(stage, 'first', sizeMib);
  const facts = imageFacts(source);
  const authority = await makeAuthority();
  const secrets = await makePeerSecrets(stage.folder, authority);
  const work = { source, sizeBytes: facts.sizeBytes, secrets, rounds };
  const options = { capture: 'at-rest', lanes: 2, compression: 'none' } as const;
  const zstd = { ...options, compression: 'zstd' } as const;
  const peers = [
    standby('standby', authority, options),
    rsync('rsync behind TLS', WHOLE, true),
    nbdcopy('nbdcopy --tls', true),
    qemuImg('qemu-img --tls'),
    ddSocat('dd | socat TLS'),
    nbdcopy('nbdcopy plain', false),
  ];
  const free = await contestOfCopies(stage, peers, work);
  const about = { sizeBytes: facts.sizeBytes, allocatedBytes: facts.allocatedBytes, rounds };
  const reports = [
    tableOf('first copy', 'no limit of the link', about, free, GOALS),
    await onLink(stage, work, about, [
      standby('standby, zstd', authority, zstd),
      nbdcopy('nbdcopy --tls', true),
      rsync('rsync zstd 1, plain', [...WHOLE, '-z', '--zc=zstd', '--zl=1']),
    ]),
  ];
  return reports;
}

async function onLink(
  stage: Stage,
  work: Parameters<typeof contestOfCopies>[2],
  about: WorkReport['about'],
  peers: Parameters<typeof contestOfCopies>[1],
): Promise<WorkReport> {
  const title = 'first copy, 1 Gbit/s';
  if (stage.network.kind === 'shared') {
    const why =
      'not measured: a network that others use is not shaped (neither root nor user namespaces here)';
    return tableOf(title, why, about, [], []);
  }
  await stage.network.shape('1gbit');
  try {
    const outcomes = await contestOfCopies(stage, peers, work);
    return tableOf(title, 'loopback shaped by tc tbf, rate 1gbit', about, outcomes, GOALS_ON_LINK);
  } finally {
    await stage.network.shape(undefined);
  }
}

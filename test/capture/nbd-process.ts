import { nbd } from '../../src/capture/nbd.ts';
import { liveOptions } from './rig.ts';

/** The server as a process of its own, to be killed: `node nbd-process.ts <disk as JSON> <folder> <socket>`. */
const [, , disk = '{}', folder = '', path = ''] = process.argv;
const live = liveOptions(folder, { nbd: { listen: { path }, spoolBytes: 64 * 1024 * 1024 } });
const session = await nbd.open([JSON.parse(disk)], { excluded: [], live });
if (process.argv[5] === 'restart') await session.changes?.restart();
process.stdout.write('serving\n');

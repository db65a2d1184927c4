import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Ready } from '../contest.ts';
import type { Stage } from '../stage.ts';
import type { CopyCourse, CopyPeer } from './copy-course.ts';
import { settled } from './settled.ts';

/**
 * Two block synchronisers that no Debian has: they take part where somebody has built them and put them on PATH. Both
 * ends are on this machine and talk through pipes, which is kinder to them than a network with TLS.
 */
export function bdsync(name: string): CopyPeer {
  return pipePeer(name, 'bdsync', {
    script: 'bdsync --blocksize=4096 "bdsync -s" "$1" "$2" | bdsync --patch="$2" >/dev/null',
  });
}

/** Its source keeps a file of digests from the time before, so it reads one side only. */
export function blocksyncFast(name: string): CopyPeer {
  const apply = 'blocksync-fast --apply-delta -d "$2" --silent >/dev/null';
  return pipePeer(name, 'blocksync-fast', {
    prepare: 'blocksync-fast --make-digest -s "$2" -f "$3" --block-size=4K --algo=SHA1 >/dev/null',
    script: `blocksync-fast --make-delta -s "$1" -f "$3" --silent | ${apply}`,
  });
}

interface Words {
  readonly script: string;
  /** Before the clock starts; `$2` is still the older image, `$3` a file of its own. */
  readonly prepare?: string;
}

function pipePeer(name: string, program: string, words: Words): CopyPeer {
  const absent = isOnPath(program) ? {} : { absent: `${program} is not installed` };
  return { name, ...absent, ready: (stage, course) => readyPipe(stage, course, words) };
}

async function readyPipe(stage: Stage, course: CopyCourse, words: Words): Promise<Ready> {
  const { source, target, folder } = course;
  const run = (script: string) =>
    stage.processes.run('sh', ['-ec', script, 'sh', source, target, join(folder, 'digest')]);
  if (words.prepare !== undefined) await run(words.prepare);
  return {
    servers: [],
    run: async (lap) => {
      await run(words.script);
      await settled(stage, target, lap);
    },
    end: async () => undefined,
  };
}

function isOnPath(program: string): boolean {
  const { PATH: path = '' } = process.env;
  return path.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch (error) {
      if (['ENOENT', 'EACCES', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
      throw error;
    }
  });
}

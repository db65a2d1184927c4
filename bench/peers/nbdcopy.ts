import type { Ready } from '../contest.ts';
import { freePort, type Stage, untilListening } from '../stage.ts';
import type { CopyCourse, CopyPeer } from './copy-course.ts';
import { settled } from './settled.ts';

/** nbdcopy into nbdkit's file plugin; holes are not sent. TLS is NBD's own, with a shared key. */
export function nbdcopy(name: string, tls: boolean): CopyPeer {
  return { name, ready: (stage, course) => readyNbdcopy(stage, course, tls) };
}

async function readyNbdcopy(stage: Stage, course: CopyCourse, tls: boolean): Promise<Ready> {
  const { source, target, secrets } = course;
  const port = await freePort();
  const key = secrets.pskFile;
  const protection = tls ? ['--tls=require', `--tls-psk=${key}`] : [];
  const where = ['-f', '-p', String(port), '-i', '127.0.0.1'];
  const server = stage.processes.start('nbdkit', [...where, ...protection, 'file', target]);
  await untilListening(port, stage, server);
  const uri = tls ? `nbds://peer@127.0.0.1:${port}/?tls-psk-file=${key}` : `nbd://127.0.0.1:${port}/`;
  return {
    servers: [server.pid],
    run: async (lap) => {
      await stage.processes.run('nbdcopy', ['--destination-is-zero', source, uri]);
      await settled(stage, target, lap);
    },
    end: () => server.stop(),
  };
}

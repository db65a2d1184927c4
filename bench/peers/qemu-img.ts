import type { Ready } from '../contest.ts';
import { freePort, type Stage, untilListening } from '../stage.ts';
import type { CopyCourse, CopyPeer } from './copy-course.ts';
import { settled } from './settled.ts';

/** `qemu-img convert` into qemu-nbd over TLS; zeros are found and not sent. */
export function qemuImg(name: string): CopyPeer {
  return { name, ready: readyQemuImg };
}

async function readyQemuImg(stage: Stage, { source, target, secrets }: CopyCourse): Promise<Ready> {
  const port = await freePort();
  const keys = (end: string) => `tls-creds-psk,id=t0,endpoint=${end},dir=${secrets.pskFolder}`;
  const where = ['-f', 'raw', '-b', '127.0.0.1', '-p', String(port), '-t', '-e', '8', '--discard=unmap'];
  const protection = ['--object', keys('server'), '--tls-creds', 't0'];
  const server = stage.processes.start('qemu-nbd', [...where, ...protection, target]);
  await untilListening(port, stage, server);
  const object = ['--object', `${keys('client')},username=peer`];
  const goal = `driver=nbd,host=127.0.0.1,port=${port},tls-creds=t0`;
  const how = ['convert', '-n', '--target-is-zero', '-W', '-m', '8', ...object, '-f', 'raw', source];
  return {
    servers: [server.pid],
    run: async (lap) => {
      await stage.processes.run('qemu-img', [...how, '--target-image-opts', goal]);
      await settled(stage, target, lap);
    },
    end: () => server.stop(),
  };
}

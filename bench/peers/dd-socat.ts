import type { Ready } from '../contest.ts';
import { freePort, type Stage, untilListening } from '../stage.ts';
import type { CopyCourse, CopyPeer } from './copy-course.ts';
import { settled } from './settled.ts';

/** `dd | socat` over TLS into `socat | dd`: the whole disk, free space as zeros; what one types first. */
export function ddSocat(name: string): CopyPeer {
  return { name, ready: readyDdSocat };
}

async function readyDdSocat(stage: Stage, { source, target, secrets }: CopyCourse): Promise<Ready> {
  const port = await freePort();
  const tls = 'openssl-min-proto-version=TLS1.3';
  const listen = `OPENSSL-LISTEN:${port},reuseaddr,bind=127.0.0.1,cert=${secrets.serverFile},verify=0,${tls}`;
  const dial = `OPENSSL:127.0.0.1:${port},cafile=${secrets.caFile},verify=1,${tls}`;
  const write = ['dd', 'of=$1', 'bs=1M', 'iflag=fullblock', 'conv=notrunc', 'status=none'].join(' ');
  const receive = `socat -u -b 1048576 "$2" - | ${write.replace('$1', '"$1"')}`;
  const send = 'dd if="$1" bs=1M status=none | socat -u -b 1048576 - "$2"';
  const receiver = stage.processes.start('sh', ['-c', receive, 'sh', target, listen]);
  await untilListening(port, stage, receiver);
  return {
    servers: [],
    run: async (lap) => {
      await stage.processes.run('sh', ['-c', send, 'sh', source, dial]);
      await receiver.ended;
      await settled(stage, target, lap);
    },
    end: () => receiver.stop(),
  };
}

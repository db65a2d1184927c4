import { writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Ready } from '../contest.ts';
import { freePort, type Stage, untilListening } from '../stage.ts';
import type { CopyCourse, CopyPeer } from './copy-course.ts';
import { settled } from './settled.ts';

/** rsync to its daemon, plain or behind stunnel at both ends. */
export function rsync(name: string, args: readonly string[], tls = false): CopyPeer {
  return { name, ready: (stage, course) => readyRsync(stage, course, args, tls) };
}

async function readyRsync(
  stage: Stage,
  course: CopyCourse,
  args: readonly string[],
  tls: boolean,
): Promise<Ready> {
  const { source, target, folder } = course;
  const port = await freePort();
  const config = join(folder, 'rsyncd.conf');
  // As root the daemon would become nobody; as somebody else it cannot.
  const owner = process.getuid?.() === 0 ? 'uid = 0\ngid = 0\n' : '';
  const module = `[m]\npath = ${dirname(target)}\nread only = no\nuse chroot = no\n${owner}`;
  await writeFile(config, `pid file = ${folder}/rsyncd.pid\nlog file = ${folder}/rsyncd.log\n${module}`);
  const where = ['--address=127.0.0.1', `--port=${port}`, `--config=${config}`];
  const daemon = stage.processes.start('rsync', ['--daemon', '--no-detach', ...where]);
  await untilListening(port, stage, daemon);
  const tunnel = tls ? await openTunnel(stage, course, port) : undefined;
  const url = `rsync://127.0.0.1:${tunnel?.port ?? port}/m/${basename(target)}`;
  return {
    servers: [daemon.pid, ...(tunnel?.pids ?? [])],
    forking: [daemon.pid],
    // To stunnel, between the two, and from stunnel: one of three is the wire.
    hops: tls ? 3 : 1,
    run: async (lap) => {
      await stage.processes.run('rsync', ['--inplace', '-I', ...args, source, url]);
      await settled(stage, target, lap);
    },
    end: async () => {
      await daemon.stop();
      await tunnel?.end();
    },
  };
}

async function openTunnel(stage: Stage, { secrets, folder }: CopyCourse, port: number) {
  const [outer, inner] = [await freePort(), await freePort()];
  const shared = 'foreground = yes\npid =\nsyslog = no\n';
  const server = join(folder, 'stunnel-server.conf');
  const client = join(folder, 'stunnel-client.conf');
  await writeFile(
    server,
    `${shared}output = ${folder}/stunnel-server.log\n[s]\naccept = 127.0.0.1:${outer}\nconnect = 127.0.0.1:${port}\n` +
      `cert = ${secrets.serverFile}\nsslVersionMin = TLSv1.3\n`,
  );
  await writeFile(
    client,
    `${shared}output = ${folder}/stunnel-client.log\n[c]\nclient = yes\naccept = 127.0.0.1:${inner}\n` +
      `connect = 127.0.0.1:${outer}\nCAfile = ${secrets.caFile}\nverifyChain = yes\nsslVersionMin = TLSv1.3\n`,
  );
  const ends = [stage.processes.start('stunnel4', [server]), stage.processes.start('stunnel4', [client])];
  for (const [index, at] of [outer, inner].entries()) {
    const process = ends[index];
    if (process) await untilListening(at, stage, process);
  }
  const end = async () => {
    for (const one of ends) await one.stop();
  };
  return { port: inner, pids: ends.map(({ pid }) => pid), end };
}

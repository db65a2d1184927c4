import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A real BIND on a free port of 127.0.0.1, with the zone example.test, two keys, and rules for them. */
export interface Bind {
  readonly port: number;
  readonly secret: Buffer;
  /** May change nothing. */
  readonly powerless: Buffer;
  stop(): Promise<void>;
}

const NAMED = '/usr/sbin/named';
const READY_TRIES = 100;

export async function startBind(): Promise<Bind> {
  const folder = await mkdtemp(join(tmpdir(), 'standby-bind-'));
  const [secret, powerless] = [randomBytes(32), randomBytes(32)];
  const port = await freePort();
  await writeFile(join(folder, 'zone'), ZONE);
  await writeFile(join(folder, 'named.conf'), configuration(folder, port, secret, powerless));
  const child = spawn(NAMED, ['-g', '-c', join(folder, 'named.conf'), '-n', '1'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const stop = async () => {
    await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await untilItAnswers(port, child);
    return { port, secret, powerless, stop };
  } catch (error) {
    await stop();
    throw new Error(`BIND does not start: ${said.slice(-2000)}`, { cause: error });
  }
}

const ZONE = `$TTL 60
@ IN SOA ns.example.test. root.example.test. 1 3600 600 86400 60
@ IN NS ns.example.test.
ns IN A 127.0.0.1
www 300 IN A 192.0.2.10
two IN A 192.0.2.1
two IN A 192.0.2.2
`;

function configuration(folder: string, port: number, secret: Buffer, powerless: Buffer): string {
  const key = (name: string, bytes: Buffer) =>
    `key "${name}" { algorithm hmac-sha256; secret "${bytes.toString('base64')}"; };`;
  return `${key('redirect.example', secret)}
${key('powerless.example', powerless)}
options {
  directory "${folder}"; pid-file none; session-keyfile none; lock-file none;
  listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; };
  recursion no; dnssec-validation no; notify no; managed-keys-directory "${folder}";
};
controls { };
zone "example.test" {
  type master; file "${folder}/zone";
  update-policy { grant redirect.example name www.example.test. A; grant redirect.example name new.example.test. A;
    grant redirect.example name two.example.test. A; };
};
`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function untilItAnswers(port: number, child: ChildProcess): Promise<void> {
  const resolver = new Resolver({ timeout: 200, tries: 1 });
  resolver.setServers([`127.0.0.1:${port}`]);
  for (let tries = 0; tries < READY_TRIES; tries++) {
    if (child.exitCode !== null) break;
    try {
      await resolver.resolve4('www.example.test');
      return;
    } catch {
      // Not listening yet, or not loaded: asked again after a moment, so often at most.
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error('no answer');
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

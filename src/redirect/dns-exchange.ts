import { connect } from 'node:net';
import { messageOf, StandbyError } from '../errors.ts';
import { readHead } from './dns-message.ts';

/** Sends one message over TCP (RFC 1035, 4.2.2) and waits for its answer. Keeps nothing. */
export interface DnsServer {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
}

const ANSWER_BYTES_MAX = 65_535;

export function exchange(server: DnsServer, message: Buffer): Promise<Buffer> {
  const { host, port, timeoutMs } = server;
  const id = message.readUInt16BE(0);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: timeoutMs });
    let received = Buffer.alloc(0);
    const fail = (why: string, cause?: unknown) => {
      socket.destroy();
      reject(unreachable(server, why, cause));
    };
    socket.once('connect', () => socket.write(Buffer.concat([length, message])));
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]);
      if (received.length < 2) return;
      const wanted = received.readUInt16BE(0);
      if (received.length > ANSWER_BYTES_MAX + 2) return fail('Its answer is longer than an answer can be.');
      if (received.length < wanted + 2) return;
      const answer = received.subarray(2, wanted + 2);
      const head = readHead(answer);
      if (!head?.isReply || head.id !== id) return fail('It answered something else than was asked.');
      socket.destroy();
      resolve(answer);
    });
    socket.once('timeout', () => fail(`It said nothing for ${timeoutMs / 1000} s.`));
    socket.once('error', (error) => fail(messageOf(error), error));
    socket.once('end', () => fail('It closed the connection without an answer.'));
  });
}

export function unreachable({ host, port }: DnsServer, why: string, cause?: unknown): StandbyError {
  return new StandbyError({
    code: 'DNS_UNREACHABLE',
    what: `The DNS server ${host}:${port} gave no answer that can be used.`,
    why,
    next: 'Check that it runs and that TCP and UDP port 53 of it are open from this machine.',
    retry: 'later',
    cause,
  });
}

import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';

/**
 * Addresses of 127.0.0.0/8 for guests. `public` ones stand for public IPs; `hidden` ones are where a guest's own
 * ports are, behind the forwarder. Drawn at random, so that several Local Azures on one machine keep apart, and
 * never one on which some process of this machine listens already.
 */
const RANGES = { public: [16, 95], hidden: [96, 126] } as const;

/** Listening TCP sockets as `127.1.2.3:80`; empty where the system does not tell (then only our own are avoided). */
export function listeningSockets(): Set<string> {
  const found = new Set<string>();
  for (const line of readTable().split('\n').slice(1)) {
    const [, local, , state] = line.trim().split(/\s+/);
    const [address, port] = (local ?? '').split(':');
    if (state !== '0A' || address === undefined || port === undefined) continue;
    const bytes = address.match(/../g) ?? [];
    const text = bytes
      .reverse()
      .map((byte) => Number.parseInt(byte, 16))
      .join('.');
    found.add(`${text}:${Number.parseInt(port, 16)}`);
  }
  return found;
}

function readTable(): string {
  try {
    return readFileSync('/proc/net/tcp', 'latin1');
  } catch (error) {
    // Not Linux: nothing to read.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

export function freeLoopbackAddress(range: keyof typeof RANGES, taken: ReadonlySet<string>): string {
  const busy = new Set([...listeningSockets()].map((socket) => socket.split(':')[0]));
  const [low, high] = RANGES[range];
  for (;;) {
    const address = `127.${randomInt(low, high + 1)}.${randomInt(0, 256)}.${randomInt(1, 255)}`;
    if (!taken.has(address) && !busy.has(address)) return address;
  }
}

import { inputError } from '../errors.ts';

/**
 * The few DNS messages that a redirect needs: a dynamic update of A records (RFC 2136) and the head of its answer
 * (RFC 1035). Pure: bytes in, bytes out. Names are written without compression.
 */
export const TYPE = { A: 1, SOA: 6, TSIG: 250 } as const;
export const CLASS = { IN: 1, NONE: 254, ANY: 255 } as const;
export const HEADER_BYTES = 12;
const OPCODE_UPDATE = 5;

export interface ARecordUpdate {
  readonly id: number;
  readonly zone: string;
  readonly name: string;
  /** The update is refused (NXRRSET) unless exactly these addresses stand there; empty: unless none does. */
  readonly expected: readonly string[];
  readonly wanted: { readonly addresses: readonly string[]; readonly ttlSeconds: number };
}

export function encodeUpdate({ id, zone, name, expected, wanted }: ARecordUpdate): Buffer {
  const owner = encodeName(name);
  const none = Buffer.alloc(0);
  const required =
    expected.length === 0
      ? [record(owner, CLASS.NONE, 0, none)]
      : expected.map((address) => record(owner, CLASS.IN, 0, encodeAddress(address)));
  const changes = [
    record(owner, CLASS.ANY, 0, none),
    ...wanted.addresses.map((address) => record(owner, CLASS.IN, wanted.ttlSeconds, encodeAddress(address))),
  ];
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUInt16BE(id, 0);
  head.writeUInt16BE(OPCODE_UPDATE << 11, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(required.length, 6);
  head.writeUInt16BE(changes.length, 8);
  const type = Buffer.alloc(4);
  type.writeUInt16BE(TYPE.SOA, 0);
  type.writeUInt16BE(CLASS.IN, 2);
  return Buffer.concat([head, encodeName(zone), type, ...required, ...changes]);
}

function record(owner: Buffer, dnsClass: number, ttlSeconds: number, data: Buffer): Buffer {
  const facts = Buffer.alloc(10);
  facts.writeUInt16BE(TYPE.A, 0);
  facts.writeUInt16BE(dnsClass, 2);
  facts.writeUInt32BE(ttlSeconds, 4);
  facts.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, facts, data]);
}

/** Lower case, as a signature wants it; the server compares without case anyway. */
export function encodeName(name: string): Buffer {
  const labels = name.replace(/\.$/, '').toLowerCase().split('.');
  const parts = labels.map((label) => {
    const bytes = Buffer.from(label, 'ascii');
    if (bytes.length === 0 || bytes.length > 63 || !/^[a-z0-9_-]+$/.test(label)) {
      throw inputError('DNS_NAME_INVALID', `"${name}" is no DNS name.`, 'Write it like www.example.com.');
    }
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  });
  const whole = Buffer.concat([...parts, Buffer.alloc(1)]);
  if (whole.length <= 255) return whole;
  throw inputError('DNS_NAME_INVALID', `The DNS name ${name.slice(0, 40)}... is too long.`);
}

function encodeAddress(address: string): Buffer {
  const parts = address.split('.').map(Number);
  const isAddress =
    parts.length === 4 && parts.every((part) => Number.isInteger(part) && part >= 0 && part < 256);
  if (isAddress) return Buffer.from(parts);
  throw inputError('ADDRESS_INVALID', `"${address}" is no IPv4 address.`);
}

export interface ReplyHead {
  readonly id: number;
  readonly isReply: boolean;
  readonly code: number;
  readonly counts: readonly [number, number, number, number];
}

export function readHead(message: Buffer): ReplyHead | undefined {
  if (message.length < HEADER_BYTES) return undefined;
  const flags = message.readUInt16BE(2);
  const count = (at: number) => message.readUInt16BE(at);
  return {
    id: message.readUInt16BE(0),
    isReply: (flags & 0x8000) !== 0,
    code: flags & 0xf,
    counts: [count(4), count(6), count(8), count(10)],
  };
}

/** The byte behind the name that begins at `at`; undefined when it does not end inside the message. */
export function skipName(message: Buffer, at: number): number | undefined {
  for (let next = at; next < message.length; ) {
    const length = message[next] ?? 0;
    if (length === 0) return next + 1;
    if (length >= 0xc0) return next + 2 <= message.length ? next + 2 : undefined;
    next += length + 1;
  }
  return undefined;
}

import { once } from 'node:events';
import { createServer } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeChecksum } from '../../src/wire/checksum.ts';
import { FRAME, type FrameHeader, FrameReader, makeFrame } from '../../src/wire/frame.ts';
import { probePort } from '../../src/wire/probe.ts';

function readerOf(seen: { header: FrameHeader; body: string }[], limit = 1000): FrameReader {
  return new FrameReader({
    limitOf: (type) => (type === FRAME.message ? limit : undefined),
    bufferFor: (_type, length) => Buffer.alloc(length),
    onFrame: (header, body) => seen.push({ header, body: body.toString('latin1') }),
  });
}

describe('frames', () => {
  it('come out whole, however the bytes are cut', () => {
    const bodies = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 });
    fc.assert(
      fc.property(bodies, fc.integer({ min: 1, max: 97 }), (list, step) => {
        const bytes = Buffer.concat(
          list.map((body, index) => makeFrame(FRAME.message, body, index, index * 2 ** 40)),
        );
        const seen: { header: FrameHeader; body: string }[] = [];
        const reader = readerOf(seen);
        for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step));
        expect(seen.map(({ body }) => body)).toEqual(
          list.map((body) => Buffer.from(body).toString('latin1')),
        );
        expect(seen.map(({ header }) => [header.stream, header.argument])).toEqual(
          list.map((_, index) => [index, index * 2 ** 40]),
        );
      }),
    );
  });

  it('longer than allowed, of an unwelcome type, or with an absurd argument are refused at their header', () => {
    const refused = (frame: Buffer) => expect(() => readerOf([], 10).push(frame.subarray(0, 16)));
    refused(makeFrame(FRAME.message, Buffer.alloc(11))).toThrow(/longer than 10/);
    refused(makeFrame(FRAME.block)).toThrow(/no place here/);
    const absurd = makeFrame(FRAME.message);
    absurd.writeBigUInt64LE(2n ** 63n, 8);
    refused(absurd).toThrow(/out of range/);
  });

  it('carry a checksum that sees a turned bit in the data and in the page map', async () => {
    const checksum = await makeChecksum();
    const map = Buffer.alloc(32, 1);
    const data = Buffer.alloc(4096, 7);
    const right = checksum(map, data);
    expect(right).toHaveLength(16);
    expect(checksum(map, data)).toEqual(right);
    data[100] = 6;
    expect(checksum(map, data)).not.toEqual(right);
    data[100] = 7;
    map[31] = 0;
    expect(checksum(map, data)).not.toEqual(right);
  });
});

describe('probing a port', () => {
  it('tells open, refused, silent and unreachable apart', async () => {
    const server = createServer((socket) => socket.destroy());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    expect((await probePort('127.0.0.1', port, 2000)).state).toBe('open');
    server.close();
    await once(server, 'close');
    expect((await probePort('127.0.0.1', port, 2000)).state).toBe('refused');
    expect((await probePort('host.invalid', port, 5000)).state).toBe('unreachable');
  });
});

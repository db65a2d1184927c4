import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isStandbyError } from '../../src/errors.ts';
import { Hive } from '../../src/guest/hive.ts';
import { recoverHive } from '../../src/guest/hive-log.ts';
import { marvin32 } from '../../src/guest/marvin32.ts';
import { initrdNames } from '../../src/guest/readiness/initrd.ts';
import { readReadiness } from '../../src/guest/readiness/readiness.ts';
import { sealedChanges } from '../../src/guest/sealed/sealed-changes.ts';
import { dword, hiveOf, logOf, seal } from './hive-writer.ts';
import { linesOf } from './hivex.ts';
import { HYPER_V, initrd, linuxDisk } from './linux-disk.ts';
import { physicalVolume } from './physical-volume.ts';
import { deviceOf, emptyFile, MIB, randomFrom, run } from './volumes.ts';
import { biosWindows, readyRegistry, uefiWindows } from './windows-disk.ts';

/**
 * Damaged disks, hives and archives: whatever is in them, there is an answer or a named error, soon, within the disk
 * and in bounded memory. A few hundred damages each time; FUZZ=100000 makes as many (divided among the kinds).
 */
const TOTAL = Number(process.env.FUZZ ?? 600);
const SEED = Number(process.env.FUZZ_SEED ?? 20_261);
const NAMED = new Set(['GUEST_UNREADABLE', 'GUEST_TOO_MUCH_WORK', 'HIVE_DAMAGED', 'PARTITION_TABLE_DAMAGED']);
const LIMIT = { reads: 60_000, bytes: 512 * MIB };
const MEMORY_BYTES_MAX = 1024 ** 3;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-fuzz-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Random = (below: number) => number;
const NUMBERS = [
  0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0xfff, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff8,
  0xffffffff,
];

/** Where anything is written, in pieces of 512 bytes: elsewhere nothing is read. */
function writtenPieces(bytes: Buffer): number[] {
  const pieces: number[] = [];
  for (let at = 0; at < bytes.length; at += 512) {
    if (bytes.subarray(at, at + 512).some((byte) => byte !== 0)) pieces.push(at);
  }
  return pieces;
}

/** Damages in place; what it gives puts everything back. */
function damage(bytes: Buffer, pieces: readonly number[], random: Random): () => void {
  const undo: [number, Buffer][] = [];
  for (let count = 1 + random(6); count > 0; count--) {
    const piece = pieces[random(pieces.length)] ?? 0;
    const at = Math.min(bytes.length - 4, piece + (random(3) === 0 ? random(64) : random(509)));
    undo.push([at, Buffer.from(bytes.subarray(at, at + 4))]);
    const kind = random(4);
    if (kind === 0) bytes[at] = random(256);
    else if (kind === 1) bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
    else if (kind === 2) bytes.writeUInt16LE((NUMBERS[random(NUMBERS.length)] ?? 0) & 0xffff, at);
    else bytes.writeUInt32LE(NUMBERS[random(NUMBERS.length)] ?? 0, at);
  }
  return () => {
    for (const [at, old] of undo.reverse()) old.copy(bytes, at);
  };
}

interface Outcomes {
  readonly answers: number;
  readonly refusals: number;
}

async function fuzz(
  bytes: Buffer,
  runs: number,
  look: (random: Random) => unknown,
  within: readonly number[] = writtenPieces(bytes),
): Promise<Outcomes> {
  let [answers, refusals] = [0, 0];
  for (let index = 0; index < runs; index++) {
    const seed = SEED + index;
    const random = randomFrom(seed);
    const restore = damage(bytes, within, random);
    try {
      await look(random);
      answers += 1;
    } catch (error) {
      if (!isStandbyError(error) || !NAMED.has(error.code)) throw new Error(`seed ${seed}`, { cause: error });
      refusals += 1;
    } finally {
      restore();
    }
    if (index % 50 === 0) expect([seed, process.memoryUsage().rss < MEMORY_BYTES_MAX]).toEqual([seed, true]);
  }
  return { answers, refusals };
}

const share = (part: number) => Math.max(10, Math.floor(TOTAL * part));
const TIMEOUT_MS = 60_000 + TOTAL * 100;
const both = { answers: expect.any(Number), refusals: expect.any(Number) };

describe('Damaged disks', () => {
  const disks: readonly [string, number, () => Buffer][] = [
    ['a Windows disk of generation 2', 0.05, () => uefiWindows(folder)],
    ['a Windows disk of generation 1', 0.06, () => biosWindows(folder)],
    ['a Linux disk with a BIOS', 0.08, () => linuxDisk(folder)],
    ['a Linux disk with EFI', 0.04, () => linuxDisk(folder, { style: 'uefi' })],
    ['a Linux volume without checksums', 0.12, () => withoutChecksums()],
    ['a physical volume of LVM', 0.1, () => withLvm()],
  ];
  it.each(disks)(
    'have an answer or a named error: %s',
    async (_, part, make) => {
      const bytes = make();
      const outcomes = await fuzz(bytes, share(part), () => readReadiness(deviceOf(bytes), { limit: LIMIT }));
      expect(outcomes).toEqual(both);
      expect(outcomes.answers).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
});

describe('Damaged disks that are to be patched', () => {
  it(
    'get patches that lie inside the disk and leave it as long as it was, or none',
    async () => {
      const registry = readyRegistry();
      registry.set('ControlSet001\\Services\\storvsc', 'Start', dword(3));
      const bytes = Buffer.concat([uefiWindows(folder, { system: registry.hive() }), Buffer.alloc(MIB)]);
      let patched = 0;
      const outcomes = await fuzz(bytes, share(0.05), async () => {
        const { patches } = await sealedChanges(deviceOf(bytes), { boot: true, limit: LIMIT });
        for (const { atBytes, bytes: piece } of patches) {
          expect(atBytes >= 0 && atBytes + piece.length <= bytes.length).toBe(true);
          patched += 1;
        }
      });
      expect(outcomes.answers).toBeGreaterThan(0);
      expect(patched).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
});

function withoutChecksums(): Buffer {
  const file = emptyFile(join(folder, 'plain.ext3'), 8 * MIB);
  const tree = join(folder, 'plain');
  run('sh', '-c', `mkdir -p ${tree}/etc ${tree}/boot/grub && ln -sf ../etc/real ${tree}/etc/fstab`);
  writeFileSync(join(tree, 'etc/real'), '/dev/sda1 / ext3 defaults 0 1\n');
  writeFileSync(
    join(tree, 'boot/grub/grub.cfg'),
    'linux /boot/vmlinuz-1 root=/dev/sda1\ninitrd /boot/initrd\n',
  );
  writeFileSync(join(tree, 'boot/vmlinuz-1'), Buffer.alloc(300_000, 7));
  writeFileSync(join(tree, 'boot/initrd'), initrd(folder, HYPER_V, 'gzip'));
  run('mke2fs', '-q', '-F', '-t', 'ext3', '-O', '^metadata_csum,^uninit_bg', '-b', '1024', '-d', tree, file);
  return readFileSync(file);
}

function withLvm(): Buffer {
  const bytes = withoutChecksums();
  return physicalVolume({
    extentBytes: MIB,
    extents: 10,
    volumes: [
      {
        name: 'root',
        segments: [
          { extents: 3, at: 5 },
          { extents: 5, at: 0 },
        ],
        bytes,
      },
    ],
  });
}

describe('Damaged hives, logs and archives', () => {
  it(
    'have an answer or a named error: keys and values',
    async () => {
      const bytes = readyRegistry().hive();
      const outcomes = await fuzz(bytes, share(0.25), () => {
        seal(bytes);
        return linesOf(new Hive(bytes, 'SYSTEM'));
      });
      expect(outcomes.refusals).toBeGreaterThan(0);
      expect(outcomes.answers).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  it(
    'have an answer or a named error: logs whose hashes are right all the same',
    async () => {
      const old = readyRegistry().hive();
      const now = hiveOf({ keys: { Changed: {} } }, { binsBytes: old.length - 4096 });
      const log = logOf(old, { sequence: 1, entries: [{ sequence: 1, from: old, to: now }] });
      const dirty = Buffer.from(old);
      dirty.writeUInt32LE(2, 4);
      seal(dirty);
      let replayed = 0;
      const head = Array.from({ length: 3 }, () => 512);
      const outcomes = await fuzz(
        log,
        share(0.15),
        () => {
          sealLog(log);
          const recovered = recoverHive(dirty, [{ name: 'LOG1', bytes: log }]);
          if (recovered.state === 'replayed') replayed += 1;
          return linesOf(new Hive(recovered.bytes, 'SYSTEM'));
        },
        [...head, ...writtenPieces(log)],
      );
      expect(outcomes).toEqual(both);
      expect(replayed).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  it(
    'have an answer or a named error: RAM disks',
    async () => {
      for (const kind of ['gzip', 'zstd', 'plain', 'early'] as const) {
        const bytes = initrd(folder, HYPER_V, kind);
        const file = {
          kind: 'file' as const,
          sizeBytes: bytes.length,
          read: async (at: number, length: number) => Buffer.from(bytes.subarray(at, at + length)),
        };
        expect(await fuzz(bytes, share(0.025), () => initrdNames(file))).toEqual(both);
      }
    },
    TIMEOUT_MS,
  );
});

/** The hashes of the first entry, so that what is damaged in it is looked at. */
function sealLog(log: Buffer): void {
  seal(log);
  const length = Math.min(log.length - 512, log.readUInt32LE(516));
  if (length < 40) return;
  const entry = log.subarray(512, 512 + length);
  for (const [at, over] of [
    [24, entry.subarray(40)],
    [32, entry.subarray(0, 32)],
  ] as const) {
    const { low, high } = marvin32({ low: 0x884def82, high: 0xc5554e7a }, over);
    entry.writeUInt32LE(low, at);
    entry.writeUInt32LE(high, at + 4);
  }
}

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isStandbyError } from '../../src/errors.ts';
import { Hive } from '../../src/guest/hive.ts';
import { changesInPlace } from '../../src/guest/hive-change.ts';
import { recoverHive } from '../../src/guest/hive-log.ts';
import { marvin32 } from '../../src/guest/marvin32.ts';
import { binary, dword, hiveOf, type KeySpec, logOf, seal, text, texts } from './hive-writer.ts';
import { linesByHivex, linesOf } from './hivex.ts';
import { randomFrom, run } from './volumes.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-hive-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function saved(bytes: Buffer, name = 'hive'): string {
  const file = join(folder, name);
  writeFileSync(file, bytes);
  return file;
}

/** Keys and values of every kind, as the seed says. */
function randomKeys(random: (below: number) => number, depth = 0): KeySpec {
  const letters = ['a', 'B', 'é', 'ü', 'ß', '日', 'Ω', ' ', '1', '.'];
  const name = (index: number) =>
    `k${index}${Array.from({ length: random(6) }, () => letters[random(letters.length)]).join('')}`;
  const lengths = [0, 1, 3, 4, 5, 300, 16344, 16345, 40_000];
  const values = Array.from({ length: random(6) }, (_, index) => {
    const bytes = Buffer.alloc(lengths[random(lengths.length)] ?? 0, random(256));
    const kinds = [dword(random(2 ** 32)), text(name(9)), texts('one', name(7)), binary(bytes)];
    return [name(index), kinds[random(kinds.length)] ?? binary(bytes)] as const;
  });
  const keys = Array.from({ length: depth > 3 ? 0 : random(9) }, (_, index) => [
    name(index),
    randomKeys(random, depth + 1),
  ]);
  return { values: Object.fromEntries(values), keys: Object.fromEntries(keys) };
}

describe('A hive', () => {
  it('is read as hivex reads it: any list of keys, large and small values, any letters', () => {
    for (const [seed, list] of (['lf', 'lh', 'li', 'ri'] as const).entries()) {
      const bytes = hiveOf(randomKeys(randomFrom(seed + 1)), { list });
      const expected = linesByHivex(saved(bytes));
      expect(expected.length).toBeGreaterThan(100);
      expect(linesOf(new Hive(bytes, 'SYSTEM'))).toEqual(expected);
    }
  });

  it('is read as hivex wrote it', () => {
    const file = saved(hiveOf({}));
    const commands = Array.from({ length: 60 }, (_, index) => [
      ...['cd \\', `add Key${index}`, `cd Key${index}`, 'setval 3', 'Start', `dword:${index}`],
      ...['Name', `string:text ${index}`, 'Bytes', 'hex:3:01,02,03,04,05,06,07,08,09'],
    ]);
    const script = saved(Buffer.from([...commands.flat(), 'commit', ''].join('\n')), 'commands');
    run('hivexsh', '-w', '-f', script, file);
    const hive = new Hive(readFileSync(file), 'SYSTEM');
    expect(linesOf(hive)).toEqual(linesByHivex(file));
    expect(hive.number(hive.key('kEY41'), 'sTART')).toBe(41);
    expect(hive.key('Key41\\nothing')).toBeUndefined();
    expect(hive.value(hive.key('nothing'), 'Start')).toBeUndefined();
  });

  it('is refused by name when it is damaged, and never in another way', () => {
    const bytes = hiveOf(randomKeys(randomFrom(7)));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        (changes) => {
          const mutated = Buffer.from(bytes);
          for (const [at, byte] of changes) mutated[at] = byte;
          seal(mutated);
          try {
            linesOf(new Hive(mutated, 'SYSTEM'));
          } catch (error) {
            if (!isStandbyError(error)) throw error;
            expect(error.code).toBe('HIVE_DAMAGED');
          }
        },
      ),
      { numRuns: 300, seed: 11, endOnFailure: true },
    );
  });
});

/** A driver's start type in one state and the next, and a key that makes the hive longer. */
const before = hiveOf(startOf(3), { sequence: 10, binsBytes: 8192 });
const after = hiveOf(startOf(0), { sequence: 10, binsBytes: 8192 });
const grown = hiveOf(
  { keys: { ...startOf(0).keys, Added: { values: { Large: binary(Buffer.alloc(9000, 7)) } } } },
  { sequence: 10 },
);

function startOf(start: number): KeySpec {
  return {
    keys: {
      ControlSet001: { keys: { Services: { keys: { storvsc: { values: { Start: dword(start) } } } } } },
    },
  };
}

/** As a crash leaves it: a write began, and its sequence number has no equal. */
function dirty(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt32LE(copy.readUInt32LE(4) + 1, 4);
  seal(copy);
  return copy;
}

const start = (bytes: Buffer) => {
  const hive = new Hive(bytes, 'SYSTEM');
  return hive.number(hive.key('ControlSet001\\Services\\storvsc'), 'Start');
};

describe('A dirty hive', () => {
  it('takes over what its two logs hold, in their order, and hivex reads the same', () => {
    const first = logOf(before, { sequence: 10, entries: [{ sequence: 10, from: before, to: after }] });
    const second = logOf(before, { sequence: 11, entries: [{ sequence: 11, from: after, to: grown }] });
    for (const logs of [
      [first, second],
      [second, first],
    ]) {
      const named = logs.map((bytes, index) => ({ name: `LOG${index + 1}`, bytes }));
      const recovered = recoverHive(dirty(before), named);
      expect(recovered).toMatchObject({ state: 'replayed', entries: 2 });
      expect(start(recovered.bytes)).toBe(0);
      const hivex = linesByHivex(saved(recovered.bytes));
      expect(linesOf(new Hive(recovered.bytes, 'SYSTEM'))).toEqual(hivex);
      expect(hivex).toEqual(linesByHivex(saved(grown)));
    }
  });

  it('stops at an entry that is torn or does not follow, and uses none that is older than it', () => {
    const entries = [
      { sequence: 10, from: before, to: after },
      { sequence: 11, from: after, to: grown },
    ];
    const torn = logOf(before, { sequence: 10, entries });
    torn[torn.length - 9000] = (torn[torn.length - 9000] ?? 0) ^ 1;
    const gap = logOf(before, {
      sequence: 10,
      entries: [{ ...entries[0], sequence: 12 } as (typeof entries)[0]],
    });
    const old = logOf(before, { sequence: 8, entries: [{ sequence: 8, from: before, to: after }] });
    const replayed = recoverHive(dirty(before), [{ name: 'LOG1', bytes: torn }]);
    expect(replayed).toMatchObject({ state: 'replayed', entries: 1 });
    expect(start(replayed.bytes)).toBe(0);
    for (const bytes of [gap, old]) {
      const left = recoverHive(dirty(before), [{ name: 'LOG1', bytes }]);
      expect(left).toMatchObject({ state: 'dirty', why: 'Its logs hold no entry that continues it.' });
      expect(start(left.bytes)).toBe(3);
    }
  });

  it('takes a lost base block from its log', () => {
    const damaged = dirty(before);
    damaged.fill(0xff, 0, 300);
    const log = logOf(before, { sequence: 10, entries: [{ sequence: 10, from: before, to: after }] });
    const recovered = recoverHive(damaged, [{ name: 'LOG1', bytes: log }]);
    expect(recovered.state).toBe('replayed');
    expect(start(recovered.bytes)).toBe(0);
    expect(linesByHivex(saved(recovered.bytes))).toEqual(linesByHivex(saved(after)));
  });

  it('stays dirty with a reason when there is no log, or one of an old format', () => {
    expect(recoverHive(before, [])).toMatchObject({ state: 'clean' });
    expect(recoverHive(dirty(before), [])).toMatchObject({ state: 'dirty', why: 'It has no logs.' });
    const old = logOf(before, { sequence: 10, entries: [] });
    old.writeUInt32LE(1, 28);
    seal(old);
    expect(recoverHive(dirty(before), [{ name: 'LOG1', bytes: old }])).toMatchObject({
      state: 'dirty',
      why: 'Its logs have the format before Windows 8.1, which is not replayed.',
    });
  });
});

describe('A change in place', () => {
  const change = { key: 'ControlSet001\\Services\\storvsc', value: 'Start' };

  it('is what hivex reads afterwards, and changes nothing else but the base block', () => {
    const hive = new Hive(before, 'SYSTEM');
    const data = dword(0).data;
    const changed = Buffer.from(before);
    for (const { atBytes, bytes } of changesInPlace({ primary: before, hive, state: 'clean' }, [
      { ...change, data },
    ]))
      bytes.copy(changed, atBytes);
    expect(linesByHivex(saved(changed))).toEqual(linesByHivex(saved(after)));
    expect(run('hivexget', saved(changed), change.key, 'Start').trim()).toBe('0');
    const differing = [...changed.keys()].filter((at) => changed[at] !== before[at]);
    expect(differing.filter((at) => at >= 512)).toHaveLength(1);
    expect(recoverHive(changed, []).state).toBe('clean');
  });

  it('of a hive that was in use brings with it what its logs hold, and leaves it closed', () => {
    const other = { keys: { ...startOf(3).keys, Other: { values: { Number: dword(7) } } } };
    const now = hiveOf(other, { sequence: 10, binsBytes: 8192 });
    const logs = [
      {
        name: 'LOG1',
        bytes: logOf(before, { sequence: 10, entries: [{ sequence: 10, from: before, to: now }] }),
      },
    ];
    const primary = dirty(before);
    const { bytes, state } = recoverHive(primary, logs);
    expect(state).toBe('replayed');
    const patches = changesInPlace({ primary, hive: new Hive(bytes, 'SYSTEM'), state }, [
      { ...change, data: dword(0).data },
    ]);
    expect(patches.at(-1)?.atBytes).toBe(0);
    const changed = Buffer.from(primary);
    for (const patch of patches.slice(0, -1)) patch.bytes.copy(changed, patch.atBytes);
    // Until its base block is there, it is what it was: in use, and its logs make the same of it.
    expect(recoverHive(changed, logs).state).toBe('replayed');
    for (const patch of patches) patch.bytes.copy(changed, patch.atBytes);
    expect(recoverHive(changed, logs)).toMatchObject({ state: 'clean', entries: 0 });
    const expected = hiveOf({ keys: { ...startOf(0).keys, Other: { values: { Number: dword(7) } } } });
    expect(linesByHivex(saved(changed))).toEqual(linesByHivex(saved(expected)));
  });

  it('is refused where it is not of the same length, not there, or its logs were not replayed', () => {
    const hive = new Hive(before, 'SYSTEM');
    const refused = { code: 'HIVE_CHANGE_REFUSED' };
    const act = (of: object, changes: object) => () =>
      changesInPlace({ primary: before, hive, state: 'clean', ...of }, [
        { ...change, data: dword(0).data, ...changes },
      ]);
    expect(act({}, { data: Buffer.alloc(3) })).toThrow(expect.objectContaining(refused));
    expect(act({}, { key: 'ControlSet002' })).toThrow(expect.objectContaining(refused));
    expect(act({ state: 'dirty' }, {})).toThrow(expect.objectContaining(refused));
    expect(act({ primary: before.subarray(0, 8192) }, {})).toThrow(expect.objectContaining(refused));
    expect(act({}, {})).not.toThrow();
  });
});

describe('The hash of log entries', () => {
  // The test vectors of the .NET runtime's Marvin32.
  it.each([
    ['', 0x30ed35c1, 0x00cd3c7d],
    ['af', 0x48e73fc7, 0x7d75ddc1],
    ['e70f', 0xb5f6e1fc, 0x485dbff8],
    ['37f495', 0xf0b07c78, 0x9b8cf7e8],
    ['153fb79826', 0xe6c08c6d, 0xa2afa997],
    ['ab427ea8d10fc7', 0xe11847e4, 0xf0678c41],
  ])('of %s is the published one', (hex, high, low) => {
    expect(marvin32({ high: 0x004fb61a, low: 0x001bdbcc }, Buffer.from(hex, 'hex'))).toEqual({ high, low });
  });
});

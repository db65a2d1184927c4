import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemFiles } from '../../src/journal/system-files.ts';
import { change, codeOf, disksOf, machineWithDisks, markAt, openOn, SMALL } from './scene.ts';

describe('Appending', () => {
  it('passes over what is here already and refuses a hole, keeping nothing of it', async () => {
    const journal = await openOn(machineWithDisks());
    await journal.append([change(1), change(2)]);
    await journal.append([change(2), change(3)]);
    expect(journal.durablePosition).toEqual({ epoch: 1, sequence: 3n });
    expect(await codeOf(journal.append([change(4), change(6)]))).toBe('JOURNAL_GAP');
    expect(await codeOf(journal.mark({ sequence: 5n, masterClockMs: 0 }))).toBe('JOURNAL_GAP');
    expect(journal.durablePosition.sequence).toBe(3n);
  });

  it('follows a sender whose numbers begin anywhere and skip, as long as each follows the one before', async () => {
    const machine = machineWithDisks();
    const journal = await openOn(machine, { originSequence: 40n });
    expect(await codeOf(journal.append([change(1)]))).toBe('no error');
    expect(await codeOf(journal.append([change(50)]))).toBe('JOURNAL_GAP');
    await journal.append([change(50, { after: 40n }), change(70, { after: 50n })]);
    expect(await codeOf(journal.append([change(90, { after: 60n })]))).toBe('JOURNAL_GAP');
    await markAt(journal, 70);
    await journal.close();
    const again = await openOn(machine, { originSequence: 40n });
    expect(again.durablePosition.sequence).toBe(70n);
    expect(again.markedPosition?.sequence).toBe(70n);
    await again.append([change(70, { after: 50n }), change(71)]);
    await again.attach(disksOf(machine));
    await again.applyTo({ sequence: 70n });
    expect(again.appliedPosition.sequence).toBe(70n);
    expect(again.durablePosition.sequence).toBe(71n);
  });

  it.each([
    ['lies outside', { offsetBytes: 8192 - 256 }],
    ['names no disk', { diskId: 'disk9' }],
    ['is too long', { lengthBytes: 2048, data: Buffer.alloc(2048) }],
    ['has other data than it says', { lengthBytes: 256 }],
    ['is empty', { lengthBytes: 0, data: Buffer.alloc(0) }],
  ])('refuses a change that %s', async (_words, facts) => {
    const journal = await openOn(machineWithDisks());
    expect(await codeOf(journal.append([change(1), change(2, facts)]))).toBe('CHANGE_INVALID');
    expect(journal.durablePosition.sequence).toBe(0n);
  });

  it('holds no more in memory than it may, however much comes at once', async () => {
    const journal = await openOn(machineWithDisks());
    let most = 0;
    const answers = Array.from({ length: 60 }, (_, index) =>
      journal.append([change(index + 1)]).then(() => {
        most = Math.max(most, journal.usage().queuedBytes);
      }),
    );
    await Promise.all(answers);
    expect(journal.durablePosition.sequence).toBe(60n);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(SMALL.queuedBytes + 2 * SMALL.changeBytes);
  });

  it('says that it is full when nothing is applied, and takes changes again once something is', async () => {
    const machine = machineWithDisks();
    const journal = await openOn(machine, { limits: { ...SMALL, spaceBytes: 6 * 8192 } });
    await journal.attach(disksOf(machine));
    let sequence = 0;
    let code = '';
    while (code === '' && sequence < 200) {
      const answer = await codeOf(journal.append([change(sequence + 1)]));
      if (answer === 'no error') {
        sequence++;
        await markAt(journal, sequence);
      } else code = answer;
    }
    expect(code).toBe('JOURNAL_FULL');
    expect(journal.state.kind).toBe('full');
    await journal.applyTo();
    await journal.append([change(sequence + 1)]);
    expect(journal.state.kind).toBe('ready');
    expect(journal.usage().usedBytes).toBeLessThanOrEqual(6 * 8192);
  });

  it('tells a full disk from a full journal', async () => {
    const machine = machineWithDisks();
    const journal = await openOn(machine);
    await journal.append([change(1)]);
    machine.capacityBytes = machine.usedBytes;
    const codes: string[] = [];
    for (let sequence = 2; sequence < 60; sequence++)
      codes.push(await codeOf(journal.append([change(sequence)])));
    expect(codes).toContain('JOURNAL_DISK_FULL');
    expect(journal.state.kind).toBe('disk-full');
    machine.capacityBytes = Number.POSITIVE_INFINITY;
    await journal.append([change(Number(journal.durablePosition.sequence) + 1)]);
    expect(journal.state.kind).toBe('ready');
  });
});

describe('Recovery', () => {
  it('finds exactly the groups before a cut, wherever the file is cut off', async () => {
    const machine = machineWithDisks();
    const journal = await openOn(machine);
    const ends: number[] = [];
    for (let sequence = 1; sequence <= 4; sequence++) {
      await journal.append([change(sequence, { lengthBytes: 100, data: Buffer.alloc(100, sequence) })]);
      ends.push(machine.lastRedo?.end ?? 0);
    }
    await journal.close();
    const path = '/journal/redo-0000000001.seg';
    const whole = Buffer.from(machine.bytesOf(path));
    for (let cut = 0; cut <= (ends.at(-1) ?? 0); cut += 7) {
      // A file without a header is removed by the recovery.
      if (!machine.paths().includes(path)) await machine.files().open(path, 'create');
      const file = await machine.files().open(path, 'existing');
      await file.commit([whole.subarray(0, cut), Buffer.alloc(whole.length - cut)], 0);
      const again = await openOn(machine);
      // Bytes of padding behind the last record may be missing; nothing was in them.
      const durable = ends.filter((end) => end - 28 <= cut).length;
      expect(again.durablePosition.sequence, `cut at ${cut}`).toBe(BigInt(durable));
      expect(again.state.kind).toBe('ready');
      await again.close();
    }
  });

  it('names a turned bit in the middle, applies nothing behind it and takes no more', async () => {
    const machine = machineWithDisks();
    const journal = await openOn(machine);
    for (let sequence = 1; sequence <= 5; sequence++) {
      await journal.append([change(sequence)]);
      await markAt(journal, sequence);
    }
    await journal.close();
    const path = '/journal/redo-0000000001.seg';
    const at = machine.bytesOf(path).indexOf(Buffer.alloc(512, 3));
    machine.flipBit(path, at * 8);
    const again = await openOn(machine);
    expect(again.state.kind).toBe('damaged');
    expect(again.state.error?.what).toContain(`redo-0000000001.seg is damaged at byte ${at - 64}, record 3`);
    await again.attach(disksOf(machine));
    expect(await codeOf(again.applyTo())).toBe('JOURNAL_DAMAGED');
    expect(again.appliedPosition.sequence).toBe(2n);
    expect(machine.bytesOf('disk0').includes(3)).toBe(false);
    expect(await codeOf(again.append([change(6)]))).toBe('JOURNAL_DAMAGED');
    expect(await codeOf(Promise.resolve().then(() => again.assertHolds(5n)))).toBe('JOURNAL_LOST');
  });

  it('does not take the journal of another scenario, epoch or set of disks', async () => {
    const machine = machineWithDisks();
    const journal = await openOn(machine);
    await journal.append([change(1)]);
    await journal.close();
    expect(await codeOf(openOn(machine, { epoch: 2 }))).toBe('JOURNAL_FOREIGN');
    expect(await codeOf(openOn(machine, { scenarioId: 'other' }))).toBe('JOURNAL_FOREIGN');
    expect(await codeOf(openOn(machine, { disks: [{ diskId: 'disk0', sizeBytes: 4096 }] }))).toBe(
      'JOURNAL_FOREIGN',
    );
    const other = machineWithDisks();
    const theirs = await openOn(other, { scenarioId: 'other' });
    await theirs.append([change(1)]);
    await theirs.close();
    other.bytesOf('/journal/redo-0000000001.seg').copy(machine.bytesOf('/journal/redo-0000000001.seg'));
    expect(await codeOf(openOn(machine))).toBe('JOURNAL_FOREIGN');
  });

  it('misses a segment in the middle', async () => {
    const machine = machineWithDisks();
    const journal = await openOn(machine);
    for (let sequence = 1; sequence <= 40; sequence++) await journal.append([change(sequence)]);
    await journal.close();
    await machine.files().unlink('/journal/redo-0000000002.seg');
    const again = await openOn(machine);
    expect(again.state.error?.what).toContain('redo-0000000002.seg is damaged at byte 0');
  });
});

describe('The replica', () => {
  it('goes back to a bookmark, a time and a position, and forward again, byte for byte', async () => {
    const machine = machineWithDisks();
    const journal = await openOn(machine);
    await journal.attach(disksOf(machine));
    const states: Buffer[] = [Buffer.from(machine.bytesOf('disk0'))];
    for (let sequence = 1; sequence <= 40; sequence++) {
      await journal.append([change(sequence, { offsetBytes: (sequence % 5) * 300 })]);
      await markAt(journal, sequence);
      if (sequence === 11) await journal.bookmark('before the update');
      if (sequence % 4 === 0) await journal.applyTo();
      const image = Buffer.from(states.at(-1) ?? Buffer.alloc(0));
      image.fill(sequence, (sequence % 5) * 300, (sequence % 5) * 300 + 512);
      states.push(image);
    }
    const targets = [
      [{ bookmark: 'before the update' }, 11],
      [{ timeMs: 1_007 }, 7],
      [{ sequence: 3n }, 3],
      [{ sequence: 0n }, 0],
    ] as const;
    for (const [target, sequence] of targets) {
      await journal.rewind(target);
      expect(journal.appliedPosition.sequence).toBe(BigInt(sequence));
      expect(machine.bytesOf('disk0').equals(states[sequence] ?? Buffer.alloc(0))).toBe(true);
      await journal.forward();
      expect(machine.bytesOf('disk0').equals(states[40] ?? Buffer.alloc(0))).toBe(true);
    }
    expect(await codeOf(journal.rewind({ bookmark: 'nobody' }))).toBe('BOOKMARK_UNKNOWN');
    expect(await codeOf(journal.forward({ sequence: 2n }))).toBe('WRONG_WAY');
  });

  it('takes an atomic set whole, or, abandoned, not at all', async () => {
    const machine = machineWithDisks();
    const journal = await openOn(machine);
    await journal.attach(disksOf(machine));
    await journal.append([change(1, { set: 'first' }), change(2, { set: 'inside', diskId: 'disk1' })]);
    expect(await codeOf(markAt(journal, 2))).toBe('ATOMIC_SET_ORDER');
    expect(await codeOf(journal.append([change(3)]))).toBe('ATOMIC_SET_ORDER');
    await journal.applyTo();
    expect(machine.bytesOf('disk0').some((byte) => byte !== 0)).toBe(false);
    await journal.abandonSet({ sequence: 2n, masterClockMs: 1_002 });
    await journal.append([change(3, { set: 'first' }), change(4, { set: 'last', diskId: 'disk1' })]);
    await markAt(journal, 4);
    await journal.applyTo();
    expect(machine.bytesOf('disk0').includes(1)).toBe(false);
    expect(machine.bytesOf('disk0').includes(3)).toBe(true);
    expect(machine.bytesOf('disk1').includes(4)).toBe(true);
  });

  it('refuses a missing or too small disk before it writes a byte', async () => {
    const machine = machineWithDisks();
    const journal = await openOn(machine);
    const disks = disksOf(machine);
    disks.set('disk0', machine.disk('disk1'));
    expect(await codeOf(journal.attach(disks))).toBe('REPLICA_DISK_WRONG');
    disks.delete('disk0');
    expect(await codeOf(journal.attach(disks))).toBe('REPLICA_DISK_WRONG');
  });

  it('gives segments back once no rewind needs them, and says when that was for want of space', async () => {
    const machine = machineWithDisks();
    const notices: string[] = [];
    const limits = { ...SMALL, spaceBytes: 8 * 8192 };
    const journal = await openOn(machine, { limits, onNotice: ({ text }) => notices.push(text) });
    await journal.attach(disksOf(machine));
    for (let sequence = 1; sequence <= 300; sequence++) {
      await journal.append([change(sequence)]);
      await markAt(journal, sequence);
      if (sequence % 5 === 0) await journal.applyTo();
    }
    expect(journal.usage().usedBytes).toBeLessThanOrEqual(8 * 8192);
    expect(notices.at(-1)).toMatch(/rewound no further back than change \d+: the space allowed/);
    expect(journal.usage().rewindFrom.sequence).toBeGreaterThan(0n);
    expect(await codeOf(journal.rewind({ sequence: 1n }))).toBe('REWIND_OUTSIDE_WINDOW');
    expect(journal.usage().shrunkAtMs).toBe(5_000_000);
    await journal.keepRewind({ rewindMs: 3_600_000, rewindBytes: 2048 });
    expect(journal.usage()).toMatchObject({ shrunkAtMs: undefined, window: { rewindBytes: 2048 } });
    expect(journal.usage().rewindBytes).toBeLessThanOrEqual(2048);
  });
});

describe('On a real file system', () => {
  it('a journal that was closed or only left behind goes on where it was', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'standby-journal-'));
    try {
      const real = { files: () => systemFiles };
      const journal = await openOn(real, { folder: join(folder, 'journal') });
      const appends = Array.from({ length: 50 }, (_, index) => journal.append([change(index + 1)]));
      await Promise.all(appends);
      await markAt(journal, 50);
      await journal.bookmark('fifty');
      await journal.close();
      const again = await openOn(real, { folder: join(folder, 'journal') });
      expect(again.durablePosition.sequence).toBe(50n);
      expect(again.bookmarks().map(({ name, position }) => [name, position.sequence])).toEqual([
        ['fifty', 50n],
      ]);
      const machine = machineWithDisks();
      await again.attach(disksOf(machine));
      await again.applyTo();
      await again.rewind({ sequence: 0n });
      expect(machine.bytesOf('disk0').some((byte) => byte !== 0)).toBe(false);
      await again.forward({ bookmark: 'fifty' });
      expect(machine.bytesOf('disk0').subarray(512, 1024).equals(Buffer.alloc(512, 50))).toBe(true);
      await again.close();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { captureMethod, captureMethods } from '../../src/capture/index.ts';
import { NbdSession } from '../../src/capture/nbd.ts';
import { CAPTURE_METHODS, CAPTURE_NAMES } from '../../src/model/capture.ts';
import { captureSuite, type LiveRig } from '../contract/capture.suite.ts';
import { hasTracing, LoopDevices, liveOptions } from './rig.ts';

const nbd: LiveRig = {
  options: (folder) =>
    liveOptions(folder, {
      nbd: { listen: { path: join(folder, 'nbd.sock') }, spoolBytes: 32 * 1024 * 1024 },
    }),
  writesAnyTime: true,
  async write(session, disk, bytes, offsetBytes) {
    if (!(session instanceof NbdSession)) throw new Error('not a session of nbd');
    const served = session.changes.disks.find(({ id }) => id === disk.id);
    await new Promise<void>((resolve, reject) => {
      const done = (error?: unknown) => (error === undefined ? resolve() : reject(error));
      served?.submit({ kind: 'data', offsetBytes, lengthBytes: bytes.length, pieces: [bytes], done });
    });
  },
};

const writeToDisk: LiveRig['write'] = async (_session, disk, bytes, offsetBytes) => {
  const file = await open(disk.path, 'r+');
  await file.write(bytes, 0, bytes.length, offsetBytes);
  await file.sync();
  await file.close();
};
const compare: LiveRig = {
  options: (folder) => liveOptions(folder, { compare: { intervalMs: 10 } }),
  writesAnyTime: false,
  write: writeToDisk,
};

const loops = new LoopDevices();
const tracked: LiveRig = {
  ...compare,
  prepare: (disks) => loops.attach(disks),
  release: () => loops.detach(),
};

const rigs: Readonly<Record<string, LiveRig>> = { nbd, compare, tracked };

for (const method of captureMethods) {
  if (method.name === 'tracked' && !hasTracing()) {
    it.skip('capture method tracked: needs root, loop devices and tracefs', () => undefined);
  } else captureSuite(method, rigs[method.name]);
}

it('every capture name of the model has its method, and an unknown one is refused', () => {
  expect(captureMethods.map((method) => method.name).sort()).toEqual([...CAPTURE_METHODS].sort());
  expect(CAPTURE_METHODS).toEqual(expect.arrayContaining([...CAPTURE_NAMES]));
  expect(() => captureMethod('telepathy')).toThrow(/no capture method/);
});

it('a live method without a place for its state is refused, and nothing is touched', async () => {
  for (const method of captureMethods.filter(({ live, name }) => live && name !== 'tracked')) {
    await expect(method.open([], { excluded: [] })).rejects.toMatchObject({
      code: 'CAPTURE_INCOMPLETE',
      kind: 'input',
    });
  }
});

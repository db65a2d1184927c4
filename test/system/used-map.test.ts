import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildMasterImage } from '../../infra/demo/master-image.ts';
import { inspectDisk } from '../../src/control/inspect.ts';
import { MIB, run } from '../guest/volumes.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-used-map-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('The map of the demo’s server', () => {
  it.each([
    ['bios', 96, 'disk0/1'],
    ['uefi', 192, 'disk0/2'],
  ] as const)(
    'holds all of a %s server: what it calls unused may be anything',
    async (firmware, sizeMib, root) => {
      const file = join(folder, `${firmware}.img`);
      const mapFile = `${file}.map`;
      const image = await buildMasterImage({
        file,
        firmware,
        sizeMib,
        dataMib: 4,
        hostName: 'master01',
        cacheFolder: join(folder, 'cache'),
      });
      const { usedBytes, volumes, firmware: found } = await inspectDisk({ disk: file, mapFile });
      expect(found).toBe(firmware);
      expect(usedBytes).toBeLessThan((sizeMib - 10) * MIB);
      const bytes = readFileSync(file);
      const map = readFileSync(mapFile);
      for (let block = 0; block < bytes.length / 4096; block++) {
        const isUsed = ((map[block >>> 3] ?? 0) & (1 << (block & 7))) !== 0;
        if (!isUsed) bytes.fill(0, block * 4096, (block + 1) * 4096);
      }
      const volume = volumes.find(({ id }) => id === root);
      const part = join(folder, 'part');
      writeFileSync(
        part,
        bytes.subarray(volume?.offsetBytes, (volume?.offsetBytes ?? 0) + (volume?.sizeBytes ?? 0)),
      );
      run('e2fsck', '-fn', part);
      const dumped = join(folder, 'proof');
      run('debugfs', '-R', `dump /var/www/proof.bin ${dumped}`, part);
      expect(createHash('sha256').update(readFileSync(dumped)).digest('hex')).toBe(image.proofSha256);
    },
  );
});

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bundle, buildBundle } from '../../../infra/templates/bundle.ts';

/** A small product with the shape of ours: an entry that loads an engine lazily and names a package no engine has. */
let folder: string;
/** Where the Node in the bundle does not matter: the real one takes seconds to pack. */
let node: { name: string; version: string; file: string };

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-bundle-'));
  writeFileSync(join(folder, 'node'), '#!/bin/sh\n');
  node = { name: 'small-node', version: '1.0.0', file: join(folder, 'node') };
});
afterAll(() => rmSync(folder, { recursive: true }));

function makeProduct(name: string, word: string): string {
  const product = join(folder, name);
  mkdirSync(join(product, 'src'), { recursive: true });
  writeFileSync(join(product, 'package.json'), '{"type":"module"}');
  writeFileSync(join(product, 'package-lock.json'), '{}');
  writeFileSync(
    join(product, 'src/main.ts'),
    `const verb: string = process.argv[2] ?? '';
if (verb === 'engine') (await import('./engine.ts')).run();
if (verb === 'control') await import('./control.ts');
`,
  );
  writeFileSync(
    join(product, 'src/engine.ts'),
    `export const run = () => process.stdout.write('${word}\\n');\n`,
  );
  writeFileSync(
    join(product, 'src/control.ts'),
    `import { BlobClient } from '@azure/storage-blob';\nprocess.stdout.write(typeof BlobClient);\n`,
  );
  return product;
}

function unpack(bundle: Bundle): string {
  const target = mkdtempSync(join(folder, 'unpacked-'));
  execFileSync('tar', ['-xzf', bundle.file, '-C', target]);
  return target;
}

describe('the engine’s bundle', () => {
  it('runs an engine with its own Node, without node_modules', async () => {
    const product = makeProduct('one', 'the engine runs');
    const bundle = await buildBundle({ cacheFolder: join(folder, 'cache-1'), rootFolder: product });
    const target = unpack(bundle);
    const output = execFileSync(join(target, 'node'), [join(target, 'engine.mjs'), 'engine'], {
      encoding: 'utf8',
    });
    expect(output).toBe('the engine runs\n');
    expect(readdirSync(target).sort()).toEqual(['chunks', 'engine.mjs', 'first-boot.sh', 'node']);
  });

  it('has the same bytes for the same sources, wherever they lie, and others for other sources', async () => {
    const first = await buildBundle({
      cacheFolder: join(folder, 'cache-a'),
      node,
      rootFolder: makeProduct('a', 'same'),
    });
    const product = makeProduct('b', 'same');
    const second = await buildBundle({ cacheFolder: join(folder, 'cache-b'), node, rootFolder: product });
    expect(second.sha256).toBe(first.sha256);
    writeFileSync(
      join(product, 'src/engine.ts'),
      `export const run = () => process.stdout.write('other\\n');\n`,
    );
    const third = await buildBundle({ cacheFolder: join(folder, 'cache-b'), node, rootFolder: product });
    expect(third.sha256).not.toBe(first.sha256);
    expect(readdirSync(join(folder, 'cache-b')).filter((name) => name.endsWith('.tar.gz'))).toHaveLength(1);
  });

  it('is made once, and made again when the file in the cache is damaged', async () => {
    const product = makeProduct('c', 'cached');
    const cacheFolder = join(folder, 'cache-c');
    const first = await buildBundle({ cacheFolder, node, rootFolder: product });
    const before = readFileSync(first.file);
    expect(await buildBundle({ cacheFolder, node, rootFolder: product })).toEqual(first);
    writeFileSync(first.file, before.subarray(0, 1000));
    expect(await buildBundle({ cacheFolder, node, rootFolder: product })).toEqual(first);
    expect(readFileSync(first.file).equals(before)).toBe(true);
  });
});

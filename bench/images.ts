import { copyFileSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { type FileHandle, open, rm, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Stage } from './stage.ts';

/**
 * The images of a bench: an ext4 file system, half full with this machine's own programs and pages, sparse where free;
 * and the same with some of its 4 KiB blocks changed, scattered over what is used.
 */
const MIB = 1024 * 1024;
const BLOCK_BYTES = 4096;
const TREES = ['/usr/bin', '/usr/lib', '/usr/share'];
const FILE_MAX_BYTES = 64 * MIB;

export async function makeImage(stage: Stage, name: string, sizeMib: number): Promise<string> {
  const image = join(stage.folder, `${name}.img`);
  const tree = join(stage.folder, `${name}.tree`);
  fillTree(tree, (sizeMib * MIB) / 2);
  await writeFile(image, '');
  await truncate(image, sizeMib * MIB);
  await stage.processes.run('mke2fs', ['-q', '-F', '-t', 'ext4', '-b', '4096', '-d', tree, image]);
  await rm(tree, { recursive: true });
  await warm(image);
  return image;
}

/** Real files until there is enough; a machine with fewer gives a smaller share, which the report tells. */
function fillTree(tree: string, enoughBytes: number): void {
  let bytes = 0;
  mkdirSync(tree);
  for (const root of TREES) {
    for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const { size } = statSync(path);
      if (size > FILE_MAX_BYTES) continue;
      if (bytes + size > enoughBytes) return;
      const target = join(tree, path);
      mkdirSync(dirname(target), { recursive: true });
      copyFileSync(path, target);
      bytes += size;
    }
  }
}

/** Read once, so that nobody pays for the first time. */
async function warm(path: string): Promise<void> {
  const file = await open(path, 'r');
  const chunk = Buffer.allocUnsafe(MIB);
  while ((await file.read(chunk, 0, MIB)).bytesRead > 0);
  await file.sync();
  await file.close();
}

export interface ImageFacts {
  readonly sizeBytes: number;
  readonly allocatedBytes: number;
}

export function imageFacts(path: string): ImageFacts {
  const { size, blocks } = statSync(path);
  return { sizeBytes: size, allocatedBytes: blocks * 512 };
}

/** The changed blocks hold what other used blocks hold, turned over: as compressible as real data. */
export async function changeBlocks(
  stage: Stage,
  image: string,
  { name, share }: { readonly name: string; readonly share: number },
): Promise<{ readonly path: string; readonly blocks: number }> {
  const path = join(stage.folder, `${name}.img`);
  await stage.processes.run('cp', ['--sparse=always', image, path]);
  const file = await open(path, 'r+');
  try {
    const used = await usedBlocks(file);
    const wanted = Math.floor(((await file.stat()).size / BLOCK_BYTES) * share);
    const chosen = scattered(used, Math.min(wanted, used.length));
    const bytes = Buffer.alloc(BLOCK_BYTES);
    for (const block of chosen) {
      const other = used[(block * 7919) % used.length] ?? block;
      await file.read(bytes, 0, BLOCK_BYTES, other * BLOCK_BYTES);
      for (let at = 0; at < BLOCK_BYTES; at++) bytes[at] = (bytes[at] ?? 0) ^ 0x5a;
      await file.write(bytes, 0, BLOCK_BYTES, block * BLOCK_BYTES);
    }
    await file.sync();
    await warm(path);
    return { path, blocks: chosen.size };
  } finally {
    await file.close();
  }
}

async function usedBlocks(file: FileHandle): Promise<number[]> {
  const used: number[] = [];
  const chunk = Buffer.allocUnsafe(MIB);
  const blank = Buffer.alloc(BLOCK_BYTES);
  const { size } = await file.stat();
  for (let at = 0; at < size; at += MIB) {
    const { bytesRead } = await file.read(chunk, 0, MIB, at);
    for (let offset = 0; offset < bytesRead; offset += BLOCK_BYTES) {
      if (!chunk.subarray(offset, offset + BLOCK_BYTES).equals(blank)) used.push((at + offset) / BLOCK_BYTES);
    }
  }
  return used;
}

/** The same ones on every machine with the same image: a small generator, not chance. */
function scattered(used: readonly number[], count: number): Set<number> {
  const chosen = new Set<number>();
  let state = 7;
  while (chosen.size < count) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const block = used[(state >>> 8) % used.length];
    if (block !== undefined) chosen.add(block);
  }
  return chosen;
}

/** A target for one run: empty of the right size, or a copy of an older image, on the medium before the clock starts. */
export async function makeTarget(stage: Stage, path: string, sizeBytes: number, old?: string): Promise<void> {
  await rm(path, { force: true });
  mkdirSync(dirname(path), { recursive: true });
  if (old === undefined) {
    await writeFile(path, '');
    await truncate(path, sizeBytes);
  } else await stage.processes.run('cp', ['--sparse=always', old, path]);
  await stage.processes.run('sync', [path]);
}

export async function assertEqual(stage: Stage, source: string, target: string): Promise<void> {
  const { size } = statSync(source);
  await stage.processes.run('cmp', ['-n', String(size), source, target]);
}

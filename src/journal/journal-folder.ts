import { crc32 } from 'node:zlib';
import { z } from 'zod';
import type { JournalDisk } from './change.ts';
import { type JournalFiles, readSmallFile, replaceFile } from './files.ts';
import { journalForeign } from './problems.ts';

/**
 * The two small files of a journal's folder, each replaced as a whole: whose journal it is, and its bookmarks.
 * Dies at any line: the old file or the new one is there.
 */
const IDENTITY = 'journal.json';
const BOOKMARKS = 'bookmarks.json';

const identitySchema = z.strictObject({
  format: z.number(),
  scenarioId: z.string(),
  epoch: z.number(),
  originSequence: z.string(),
  disks: z.array(z.strictObject({ diskId: z.string(), sizeBytes: z.number() })),
});

const bookmarksSchema = z.array(
  z.strictObject({ name: z.string(), sequence: z.string().regex(/^\d+$/), timeMs: z.number() }),
);

export interface StoredBookmark {
  readonly name: string;
  readonly sequence: bigint;
  readonly timeMs: number;
}

export interface JournalOwner {
  readonly scenarioId: string;
  readonly epoch: number;
  readonly originSequence: bigint;
  readonly disks: readonly JournalDisk[];
}

/** Makes the folder at first; throws JOURNAL_FOREIGN when it belongs to somebody else. */
export async function claimFolder(files: JournalFiles, folder: string, owner: JournalOwner): Promise<void> {
  await files.makeFolder(folder);
  const { scenarioId, epoch } = owner;
  const disks = owner.disks.map(({ diskId, sizeBytes }) => ({ diskId, sizeBytes }));
  const originSequence = String(owner.originSequence);
  const wanted = { format: 1, scenarioId, epoch, originSequence, disks };
  const bytes = await readSmallFile(files, folder, IDENTITY);
  if (bytes) {
    const found = identitySchema.safeParse(open(bytes));
    if (!found.success) throw journalForeign(IDENTITY, 'journal', 'it cannot be read');
    if (found.data.format !== 1) {
      throw journalForeign(IDENTITY, 'version', `it has format ${found.data.format}; this engine knows 1`);
    }
    if (JSON.stringify(found.data) !== JSON.stringify(wanted)) {
      throw journalForeign(IDENTITY, 'journal', `it is of ${JSON.stringify(found.data)}`);
    }
    return;
  }
  if ((await files.list(folder)).some((name) => name.endsWith('.seg'))) {
    throw journalForeign(IDENTITY, 'journal', 'it is missing, and there are segments');
  }
  await replaceFile(files, folder, IDENTITY, seal(wanted));
}

/** Undefined: the file is there and cannot be read. */
export async function readBookmarks(
  files: JournalFiles,
  folder: string,
): Promise<StoredBookmark[] | undefined> {
  const bytes = await readSmallFile(files, folder, BOOKMARKS);
  if (!bytes) return [];
  const found = bookmarksSchema.safeParse(open(bytes));
  return found.success
    ? found.data.map(({ name, sequence, timeMs }) => ({ name, sequence: BigInt(sequence), timeMs }))
    : undefined;
}

export async function writeBookmarks(
  files: JournalFiles,
  folder: string,
  bookmarks: readonly StoredBookmark[],
): Promise<void> {
  const stored = bookmarks.map((bookmark) => ({ ...bookmark, sequence: String(bookmark.sequence) }));
  await replaceFile(files, folder, BOOKMARKS, seal(stored));
}

function seal(content: unknown): Buffer {
  const text = JSON.stringify(content);
  return Buffer.from(`${crc32(text).toString(16)} ${text}\n`);
}

function open(bytes: Buffer): unknown {
  const text = bytes.toString('utf8').trimEnd();
  const space = text.indexOf(' ');
  const body = text.slice(space + 1);
  if (crc32(body).toString(16) !== text.slice(0, space)) return undefined;
  try {
    return JSON.parse(body);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/**
 * Writes a plain ustar archive whose bytes depend on the content only: no times, no owners, no names of machines.
 * The same sources give the same SHA-256.
 */
export interface TarEntry {
  /** Path in the archive, at most 100 characters. */
  readonly name: string;
  readonly mode: number;
  readonly sizeBytes: number;
  content(): AsyncIterable<Uint8Array>;
}

const BLOCK = 512;

export async function* tarOf(entries: readonly TarEntry[]): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    yield headerOf(entry);
    let written = 0;
    for await (const part of entry.content()) {
      written += part.length;
      yield part;
    }
    if (written !== entry.sizeBytes) {
      throw new RangeError(
        `${entry.name} changed while it was packed: ${written} of ${entry.sizeBytes} bytes`,
      );
    }
    const over = written % BLOCK;
    if (over > 0) yield new Uint8Array(BLOCK - over);
  }
  yield new Uint8Array(2 * BLOCK);
}

function headerOf(entry: TarEntry): Uint8Array {
  if (Buffer.byteLength(entry.name) > 100) throw new RangeError(`${entry.name} is too long for a tar header`);
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, '0')}\0`;
  header.write(entry.name, 0);
  header.write(octal(entry.mode, 8), 100);
  header.write(octal(0, 8), 108);
  header.write(octal(0, 8), 116);
  header.write(octal(entry.sizeBytes, 12), 124);
  header.write(octal(0, 12), 136);
  header.write(' '.repeat(8), 148);
  header.write('0', 156);
  header.write('ustar\0', 257);
  header.write('00', 263);
  header.write('root', 265);
  header.write('root', 297);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** Changes to NTFS volumes that no tool here makes; each is judged by libntfs before it is used. */
const RECORD_BYTES = 1024;

interface Place {
  readonly clusterBytes: number;
  readonly mftAt: number;
}

function placeOf(bytes: Buffer): Place {
  const clusterBytes = bytes.readUInt16LE(0x0b) * bytes.readUInt8(0x0d);
  return { clusterBytes, mftAt: bytes.readUInt32LE(0x30) * clusterBytes };
}

function open(record: Buffer): Buffer {
  for (const sector of [1, 2])
    record.copy(
      record,
      sector * 512 - 2,
      record.readUInt16LE(4) + sector * 2,
      record.readUInt16LE(4) + sector * 2 + 2,
    );
  return record;
}

function close(record: Buffer): void {
  const at = record.readUInt16LE(4);
  for (const sector of [1, 2]) {
    record.copy(record, at + sector * 2, sector * 512 - 2, sector * 512);
    record.copy(record, sector * 512 - 2, at, at + 2);
  }
}

function attributeAt(record: Buffer, type: number): number {
  let at = record.readUInt16LE(0x14);
  while (record.readUInt32LE(at) !== type) at += record.readUInt32LE(at + 4);
  return at;
}

/** Puts $Bitmap's clusters into two records of their own, 12 and 13, which are reserved for such uses. */
export function splitBitmap(bytes: Buffer): void {
  const { mftAt } = placeOf(bytes);
  const recordAt = (number: number) =>
    bytes.subarray(mftAt + number * RECORD_BYTES, mftAt + (number + 1) * RECORD_BYTES);
  const base = open(recordAt(6));
  const from = attributeAt(base, 0x80);
  const data = Buffer.from(base.subarray(from, from + base.readUInt32LE(from + 4)));
  const runs = data.readUInt16LE(0x20);
  const [lengthBytes, offsetBytes] = [data.readUInt8(runs) & 0xf, data.readUInt8(runs) >>> 4];
  const clusters = data.readIntLE(runs + 1, lengthBytes);
  const lcn = data.readIntLE(runs + 1 + lengthBytes, offsetBytes);
  const half = Math.floor(clusters / 2);
  if (half < 1) throw new Error('The bitmap has one cluster only');
  const list = attributeList([
    { type: 0x10, vcn: 0, record: 6, sequence: base.readUInt16LE(0x10), instance: 0 },
    { type: 0x30, vcn: 0, record: 6, sequence: base.readUInt16LE(0x10), instance: 2 },
    { type: 0x80, vcn: 0, record: 12, sequence: 12, instance: 0 },
    { type: 0x80, vcn: half, record: 13, sequence: 13, instance: 0 },
  ]);
  // The list stands between the attributes 0x10 and 0x30.
  const name = attributeAt(base, 0x30);
  const rest = Buffer.from(base.subarray(name, from));
  base.fill(0, name, 1022);
  list.copy(base, name);
  rest.copy(base, name + list.length);
  base.writeUInt32LE(0xffffffff, name + list.length + rest.length);
  base.writeUInt32LE(name + list.length + rest.length + 8, 0x18);
  extension(recordAt(12), 12, base, { vcn: 0, lcn, clusters: half, data });
  extension(recordAt(13), 13, base, { vcn: half, lcn: lcn + half, clusters: clusters - half, data });
  close(base);
}

interface Listed {
  readonly type: number;
  readonly vcn: number;
  readonly record: number;
  readonly sequence: number;
  readonly instance: number;
}

function attributeList(entries: readonly Listed[]): Buffer {
  const raw = Buffer.alloc(0x18 + entries.length * 32);
  raw.writeUInt32LE(0x20, 0);
  raw.writeUInt32LE(raw.length, 4);
  raw.writeUInt16LE(0x18, 10);
  raw.writeUInt16LE(7, 14);
  raw.writeUInt32LE(entries.length * 32, 0x10);
  raw.writeUInt16LE(0x18, 0x14);
  for (const [index, entry] of entries.entries()) {
    const at = 0x18 + index * 32;
    raw.writeUInt32LE(entry.type, at);
    raw.writeUInt16LE(32, at + 4);
    raw.writeUInt8(26, at + 7);
    raw.writeUInt32LE(entry.vcn, at + 8);
    raw.writeUInt32LE(entry.record, at + 16);
    raw.writeUInt16LE(entry.sequence, at + 22);
    raw.writeUInt16LE(entry.instance, at + 24);
  }
  return raw;
}

interface Part {
  readonly vcn: number;
  readonly lcn: number;
  readonly clusters: number;
  readonly data: Buffer;
}

function extension(record: Buffer, number: number, base: Buffer, { vcn, lcn, clusters, data }: Part): void {
  record.fill(0);
  record.write('FILE', 0, 'latin1');
  record.writeUInt16LE(0x30, 4);
  record.writeUInt16LE(3, 6);
  record.writeUInt16LE(number, 0x10);
  record.writeUInt16LE(0x38, 0x14);
  record.writeUInt16LE(1, 0x16);
  record.writeUInt32LE(RECORD_BYTES, 0x1c);
  record.writeUInt32LE(6, 0x20);
  record.writeUInt16LE(base.readUInt16LE(0x10), 0x26);
  record.writeUInt16LE(1, 0x28);
  record.writeUInt32LE(number, 0x2c);
  record.writeUInt16LE(1, 0x30);
  const at = 0x38;
  data.copy(record, at, 0, 0x40);
  record.writeUInt32LE(0x50, at + 4);
  record.writeUInt16LE(0, at + 14);
  record.writeBigUInt64LE(BigInt(vcn), at + 0x10);
  record.writeBigUInt64LE(BigInt(vcn + clusters - 1), at + 0x18);
  record.writeUInt16LE(0x40, at + 0x20);
  if (vcn > 0) record.fill(0, at + 0x28, at + 0x40);
  record.writeUInt8(0x44, at + 0x40);
  record.writeInt32LE(clusters, at + 0x41);
  record.writeInt32LE(lcn, at + 0x45);
  record.writeUInt32LE(0xffffffff, at + 0x50);
  record.writeUInt32LE(at + 0x58, 0x18);
  close(record);
}

/** Two restart pages as Windows leaves them behind: the second is the newer one. */
export function closeLog(
  bytes: Buffer,
  facts: { readonly clients: 'none' | 'one'; readonly flags: number },
): void {
  const { clusterBytes, mftAt } = placeOf(bytes);
  const record = open(Buffer.from(bytes.subarray(mftAt + 2 * RECORD_BYTES, mftAt + 3 * RECORD_BYTES)));
  const data = attributeAt(record, 0x80);
  const runs = data + record.readUInt16LE(data + 0x20);
  const [lengthBytes, offsetBytes] = [record.readUInt8(runs) & 0xf, record.readUInt8(runs) >>> 4];
  const at = record.readIntLE(runs + 1 + lengthBytes, offsetBytes) * clusterBytes;
  const fileBytes = record.readBigUInt64LE(data + 0x30);
  for (const [index, sequence] of [100n, 200n].entries()) {
    const isOpen = index === 0 || facts.clients === 'one';
    restartPage(bytes.subarray(at + index * 4096, at + (index + 1) * 4096), {
      sequence,
      fileBytes,
      isOpen,
      flags: index === 0 ? 0 : facts.flags,
    });
  }
}

interface Restart {
  readonly sequence: bigint;
  readonly fileBytes: bigint;
  readonly isOpen: boolean;
  readonly flags: number;
}

function restartPage(page: Buffer, { sequence, fileBytes, isOpen, flags }: Restart): void {
  page.fill(0);
  page.write('RSTR', 0, 'latin1');
  page.writeUInt16LE(0x1e, 4);
  page.writeUInt16LE(9, 6);
  page.writeUInt32LE(4096, 16);
  page.writeUInt32LE(4096, 20);
  const area = 0x30;
  page.writeUInt16LE(area, 24);
  page.writeInt16LE(1, 26);
  page.writeInt16LE(1, 28);
  page.writeBigUInt64LE(sequence, area);
  page.writeUInt16LE(1, area + 8);
  page.writeUInt16LE(isOpen ? 0xffff : 0, area + 10);
  page.writeUInt16LE(isOpen ? 0 : 0xffff, area + 12);
  page.writeUInt16LE(flags, area + 14);
  const sequenceBits = 67 - fileBytes.toString(2).length;
  page.writeUInt32LE(sequenceBits, area + 16);
  page.writeUInt16LE(0x30 + 0xa0, area + 20);
  page.writeUInt16LE(0x30, area + 22);
  page.writeBigUInt64LE(fileBytes, area + 24);
  page.writeUInt16LE(0x30, area + 36);
  page.writeUInt16LE(0x40, area + 38);
  const client = area + 0x30;
  page.writeBigUInt64LE(sequence, client);
  page.writeBigUInt64LE(sequence, client + 8);
  page.writeUInt16LE(0xffff, client + 16);
  page.writeUInt16LE(0xffff, client + 18);
  page.writeUInt32LE(8, client + 28);
  page.write('NTFS', client + 32, 'utf16le');
  page.writeUInt16LE(1, 0x1e);
  for (let sector = 1; sector <= 8; sector++) {
    page.copy(page, 0x1e + sector * 2, sector * 512 - 2, sector * 512);
    page.writeUInt16LE(1, sector * 512 - 2);
  }
}

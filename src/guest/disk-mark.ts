import type { BlockDevice } from '../ports/block-device.ts';

/**
 * What a disk's partition table calls the disk: the GUID of a GPT, or the signature of an MBR. A copy has the mark of its
 * original, two disks that were partitioned apart have not. Undefined where there is none. Reads one page.
 */
const HEAD_BYTES = 8192;
const GUID_AT = 56;
const GUID_BYTES = 16;
const MBR_SIGNATURE_AT = 440;

export async function readDiskMark(device: BlockDevice): Promise<string | undefined> {
  if (device.sizeBytes < HEAD_BYTES) return undefined;
  const head = Buffer.alloc(HEAD_BYTES);
  await device.read(head, 0);
  for (const sectorBytes of [512, 4096]) {
    if (head.toString('latin1', sectorBytes, sectorBytes + 8) !== 'EFI PART') continue;
    return marked('gpt', head.subarray(sectorBytes + GUID_AT, sectorBytes + GUID_AT + GUID_BYTES));
  }
  if (head.readUInt16LE(510) !== 0xaa55) return undefined;
  return marked('mbr', head.subarray(MBR_SIGNATURE_AT, MBR_SIGNATURE_AT + 4));
}

function marked(kind: string, bytes: Buffer): string | undefined {
  return bytes.some((byte) => byte !== 0) ? `${kind} ${bytes.toString('hex')}` : undefined;
}

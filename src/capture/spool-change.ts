import type { Change } from './capture.ts';
import { slicePieces } from './excluded.ts';
import type { Spool } from './spool.ts';
import type { NewRecord, SpoolRecord } from './spool-format.ts';

/** As one record, or as several when it is too long for one; the spool was asked for room before. */
export function appendChange(
  spool: Spool,
  { kind, disk, offsetBytes, lengthBytes, pieces = [] }: NewRecord,
): void {
  for (let at = 0; at < lengthBytes; at += spool.recordBytesMax) {
    const length = Math.min(spool.recordBytesMax, lengthBytes - at);
    const facts = { kind, disk, offsetBytes: offsetBytes + at, lengthBytes: length };
    if (kind === 'zero') spool.append(facts);
    else
      spool.append({ ...facts, pieces: length === lengthBytes ? pieces : slicePieces(pieces, at, length) });
  }
}

/** A record of the spool as the stream tells it. */
export function changeOf(record: SpoolRecord, disks: readonly { readonly id: string }[]): Change {
  const { kind, offsetBytes, lengthBytes, clockMs } = record;
  const isSet = kind === 'set-begin' || kind === 'set-end';
  return {
    sequence: BigInt(record.sequence),
    diskId: isSet ? '' : (disks[record.disk]?.id ?? ''),
    offsetBytes,
    lengthBytes,
    kind,
    ...(record.data ? { data: record.data } : {}),
    ...(isSet ? { setId: BigInt(record.set) } : {}),
    masterClockMs: clockMs,
  };
}

import type { Change } from './capture.ts';
import type { SpoolRecord } from './spool-format.ts';

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

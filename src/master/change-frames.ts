import type { Change } from '../capture/capture.ts';
import { CHANGES_HEADER_BYTES, type ChangeRecord, encodeChanges, recordSpace } from '../wire/change-frame.ts';
import type { Checksum } from '../wire/checksum.ts';
import { FRAME, writeHeader } from '../wire/frame.ts';
import { HEADER_BYTES, LIMITS } from '../wire/limits.ts';

/** A frame that is ready to be sent, and what it brings the appliance to. */
export interface ReadyFrame {
  readonly bytes: Buffer;
  readonly bodyBytes: number;
  readonly lastSequence: bigint;
}

/** As few frames as the changes fit in, in order; `after` is the sequence before the first. */
export function* framesOf(
  changes: readonly Change[],
  parts: { readonly after: bigint; readonly diskIds: readonly string[]; readonly checksum: Checksum },
): Generator<ReadyFrame> {
  let { after } = parts;
  let records: ChangeRecord[] = [];
  let bodyBytes = CHANGES_HEADER_BYTES;
  for (const change of changes) {
    const record = recordOf(change, parts.diskIds);
    const space = recordSpace(record);
    if (records.length > 0 && bodyBytes + space > LIMITS.changesBodyBytes) {
      yield frameOf(records, after, parts.checksum);
      after = records.at(-1)?.sequence ?? after;
      records = [];
      bodyBytes = CHANGES_HEADER_BYTES;
    }
    records.push(record);
    bodyBytes += space;
  }
  if (records.length > 0) yield frameOf(records, after, parts.checksum);
}

function recordOf(change: Change, diskIds: readonly string[]): ChangeRecord {
  const { sequence, offsetBytes, lengthBytes, kind, data, setId, masterClockMs } = change;
  const isMark = kind === 'flush' || kind === 'set-begin' || kind === 'set-end';
  const disk = isMark ? 0 : diskIds.indexOf(change.diskId);
  if (disk < 0) throw new RangeError(`a change of ${change.diskId}, which is not part of this stream`);
  return {
    sequence,
    disk,
    offsetBytes,
    lengthBytes,
    kind,
    ...(data ? { data } : {}),
    ...(setId === undefined ? {} : { setId }),
    masterClockMs,
  };
}

function frameOf(records: readonly ChangeRecord[], after: bigint, checksum: Checksum): ReadyFrame {
  const bytes = encodeChanges({ after, records }, checksum, HEADER_BYTES);
  const bodyBytes = bytes.length - HEADER_BYTES;
  writeHeader(bytes, { length: bodyBytes, type: FRAME.changes, flags: 0, stream: 0, argument: 0 });
  return { bytes, bodyBytes, lastSequence: records.at(-1)?.sequence ?? after };
}

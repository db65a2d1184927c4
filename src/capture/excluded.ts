import type { ExcludedRange } from './capture.ts';

/** Excluded volumes: read as zeros, and no change inside them is told. */
export type Range = { readonly offsetBytes: number; readonly sizeBytes: number };

export function rangesOf(excluded: readonly ExcludedRange[], diskId: string): readonly Range[] {
  return excluded
    .filter((range) => range.diskId === diskId && range.sizeBytes > 0)
    .sort((a, b) => a.offsetBytes - b.offsetBytes);
}

/** Zeros what was read of excluded ranges. */
export function hideExcluded(target: Uint8Array, offsetBytes: number, excluded: readonly Range[]): void {
  const endBytes = offsetBytes + target.byteLength;
  for (const range of excluded) {
    const start = Math.max(range.offsetBytes, offsetBytes);
    const end = Math.min(range.offsetBytes + range.sizeBytes, endBytes);
    if (start < end) target.fill(0, start - offsetBytes, end - offsetBytes);
  }
}

/** What of a range is not excluded, in order. */
export function includedParts(offsetBytes: number, lengthBytes: number, excluded: readonly Range[]): Range[] {
  const parts: Range[] = [];
  let at = offsetBytes;
  const endBytes = offsetBytes + lengthBytes;
  for (const range of excluded) {
    if (range.offsetBytes >= endBytes) break;
    if (range.offsetBytes > at) parts.push({ offsetBytes: at, sizeBytes: range.offsetBytes - at });
    at = Math.max(at, range.offsetBytes + range.sizeBytes);
  }
  if (at < endBytes) parts.push({ offsetBytes: at, sizeBytes: endBytes - at });
  return parts;
}

/** A part of a row of pieces; nothing is copied. */
export function slicePieces(
  pieces: readonly Uint8Array[],
  startBytes: number,
  lengthBytes: number,
): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const piece of pieces) {
    const start = Math.max(startBytes - at, 0);
    const end = Math.min(startBytes + lengthBytes - at, piece.byteLength);
    if (start < end) parts.push(start === 0 && end === piece.byteLength ? piece : piece.subarray(start, end));
    at += piece.byteLength;
    if (at >= startBytes + lengthBytes) break;
  }
  return parts;
}

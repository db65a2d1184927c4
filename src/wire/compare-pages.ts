import { PAGE_BYTES } from '../block/chunks.ts';
import type { PageSigner } from '../block/page-signer.ts';
import { addPage, gatherNamed, gatherPages } from '../block/zeros.ts';
import type { Framer } from './framer.ts';
import type { KnownChunk } from './signature-frame.ts';

/** What the appliance must be told of a chunk: nothing new, only zeros, or the packed data at the front of its buffer. */
export type Finding = 'same' | 'zeros' | { readonly packed: number; readonly isPatch: boolean };

/**
 * Compares the chunk in the signer's buffer with what the replica holds there, page by page. A chunk of which every page
 * comes anew is a block as in a full copy; in a patch the pages that are not named stay.
 */
export function comparePages(
  signer: PageSigner,
  length: number,
  theirs: KnownChunk,
  framer: Framer,
): Finding {
  const ours = signer.sign(length);
  const pages = Math.ceil(length / PAGE_BYTES);
  const { pageMap, zeroMap } = framer.patch;
  pageMap.fill(0);
  zeroMap.fill(0);
  let filled = 0;
  let stay = 0;
  for (let page = 0; page < pages; page++) {
    const signature = ours[page] ?? 0;
    if (signature !== 0) filled++;
    if (theirs !== 'nothing' && signature === (theirs === 'zeros' ? 0 : theirs[page])) stay++;
    else addPage(signature === 0 ? zeroMap : pageMap, page);
  }
  if (stay === pages) return 'same';
  if (filled === 0) return 'zeros';
  if (stay === 0) return { packed: gatherPages(framer.chunk, length, framer.pageMap), isPatch: false };
  return { packed: gatherNamed(framer.chunk, length, pageMap), isPatch: true };
}

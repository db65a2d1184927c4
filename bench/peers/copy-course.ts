import type { Contestant } from '../contest.ts';
import type { PeerSecrets } from '../secrets.ts';

/** One image to be brought to another place. */
export interface CopyCourse {
  readonly source: string;
  /** There already: empty and of the right size, or an older copy. */
  readonly target: string;
  readonly old?: string;
  readonly secrets: PeerSecrets;
  /** For what a run needs besides; fresh for each run. */
  readonly folder: string;
}

export type CopyPeer = Contestant<CopyCourse>;

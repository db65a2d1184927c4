import type { Host } from '../ports/host.ts';
import { plainHost } from './plain-host.ts';
import type { Shell } from './shell.ts';

/** Standard output carries JSON and nothing else; what people read goes to standard error. Never prompts. */
export function jsonHost(shell: Pick<Shell, 'stdout' | 'stderr' | 'signal' | 'clock'>): Host {
  return plainHost(shell, 'stderr');
}

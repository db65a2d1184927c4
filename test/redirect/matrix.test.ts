import { describe, expect, it } from 'vitest';
import { REDIRECTIONS, SERVER_TYPES, whyNotRedirect } from '../../src/redirect/matrix.ts';

/** M-25, as the source prints it: + possible, - not possible; IP, name, DNS, alias, script. */
const PRINTED = {
  'file-server': '+++++',
  'sql-server': '+++++',
  exchange: '+-+++',
  iis: '+++++',
  oracle: '+-+++',
  vcenter: '+++++',
  'hyper-v': '--+-+',
  'full-system': '--+-+',
} as const;

describe('Which redirection is possible', () => {
  const cells = SERVER_TYPES.flatMap((type) =>
    REDIRECTIONS.map((method, index) => [type, method, PRINTED[type][index] === '+'] as const),
  );

  it('has 40 cells', () => {
    expect(cells).toHaveLength(40);
  });

  it.each(cells)('%s by %s: %s', (type, method, isPossible) => {
    const why = whyNotRedirect(type, method);
    expect(why === undefined).toBe(isPossible);
    if (why !== undefined) expect(why).toMatch(/^[A-Z].{20,}\.$/);
  });
});

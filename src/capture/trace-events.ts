/**
 * Lines of a tracefs `trace_pipe` with block_rq_complete events: where a device was written to, after the fact.
 * Example: `dd-21078 [000] ..s.. 1727.282942: block_rq_complete: 7,0 WS () 17410 + 32 be,0,4 [0]`: device 7:0,
 * a synchronous write of 32 sectors at sector 17410.
 */
export type TraceLine =
  | { readonly kind: 'write'; readonly device: string; readonly sector: number; readonly sectors: number }
  | { readonly kind: 'nothing' }
  /** Events were lost, or this is no line we understand: where was written is not known. */
  | { readonly kind: 'gap' };

const EVENT = /: block_rq_complete: (\d+),(\d+) ([A-Z]+) \([^)]*\) (\d+) \+ (\d+) /;

export function parseTraceLine(line: string): TraceLine {
  if (line.trim() === '' || line.startsWith('#')) return { kind: 'nothing' };
  const found = EVENT.exec(line);
  if (!found) return { kind: 'gap' };
  const [, major, minor, flags = '', sector, sectors] = found;
  // A leading F asks for a flush before; the letter after it says what is done. Only reads leave a disk as it is.
  const operation = flags.length > 1 && flags.startsWith('F') ? flags.slice(1) : flags;
  if (operation.startsWith('R') || Number(sectors) === 0) return { kind: 'nothing' };
  return { kind: 'write', device: `${major}:${minor}`, sector: Number(sector), sectors: Number(sectors) };
}

/** Events lost by one processor's buffer, as its `stats` file counts them. */
export function lostEvents(stats: string): number {
  let lost = 0;
  for (const name of ['overrun', 'commit overrun', 'dropped events']) {
    const found = new RegExp(`^${name}: (\\d+)$`, 'm').exec(stats);
    lost += Number(found?.[1] ?? 0);
  }
  return lost;
}

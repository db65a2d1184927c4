import { createHash } from 'node:crypto';

/**
 * The rows of the demo's database. A row's checksum covers the row before it as well, so that rows that are missing,
 * changed or out of order cannot pass for right ones.
 */
export interface Row {
  readonly number: number;
  /** `NUMBER TIME PAYLOAD CHECKSUM`, as it stands in the database. */
  readonly line: string;
  readonly checksum: string;
}

export interface AcknowledgedRow extends Row {
  /** When the client had the answer that the row is durable on the master. */
  readonly acknowledgedAtMs: number;
}

const BEFORE_THE_FIRST = '0'.repeat(64);

export function makeRow(before: Row | undefined, timeMs: number, payload: string): Row {
  const number = (before?.number ?? 0) + 1;
  const content = `${number} ${timeMs} ${payload}`;
  const checksum = checksumOf(before?.checksum, content);
  return { number, line: `${content} ${checksum}`, checksum };
}

function checksumOf(before: string | undefined, content: string): string {
  return createHash('sha256')
    .update(`${before ?? BEFORE_THE_FIRST} ${content}`)
    .digest('hex');
}

/** The rows up to the first that is wrong, cut off or out of order; `wrong` says what is the matter with that one. */
export function readRows(text: string): { readonly rows: readonly Row[]; readonly wrong?: string } {
  const lines = text.split('\n');
  const cutOff = lines.pop();
  const rows: Row[] = [];
  for (const line of lines) {
    const space = line.lastIndexOf(' ');
    const [content, checksum] = [line.slice(0, space), line.slice(space + 1)];
    const number = rows.length + 1;
    if (Number.parseInt(line, 10) !== number) return { rows, wrong: `row ${number} is not where it belongs` };
    if (checksumOf(rows.at(-1)?.checksum, content) !== checksum)
      return { rows, wrong: `row ${number} has a wrong checksum` };
    rows.push({ number, line, checksum });
  }
  return cutOff ? { rows, wrong: `row ${rows.length + 1} is cut off` } : { rows };
}

export interface RowsFound {
  /** Answered to the client as durable on the master. */
  readonly acknowledged: number;
  /** Of those, durable on the appliance when the master died. */
  readonly received: number;
  /** Right ones, in order. */
  readonly onStandby: number;
  /** Acknowledged and received, but not on the standby. */
  readonly lost: number;
}

/**
 * `receivedAtMs`: by the master's clock, the time of the last position that the appliance has durably. A row whose
 * answer had arrived before that lies before that position: changes travel in the order in which they were made.
 */
export function compareRows(
  log: readonly AcknowledgedRow[],
  standby: readonly Row[],
  receivedAtMs: number,
): RowsFound {
  const received = log.filter((row) => row.acknowledgedAtMs < receivedAtMs);
  const lost = received.filter((row) => standby[row.number - 1]?.line !== row.line);
  return {
    acknowledged: log.length,
    received: received.length,
    onStandby: standby.length,
    lost: lost.length,
  };
}

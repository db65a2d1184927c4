import { describe, expect, it } from 'vitest';
import { type AcknowledgedRow, compareRows, makeRow, type Row, readRows } from '../../../infra/demo/rows.ts';

function rowsOf(count: number): Row[] {
  const rows: Row[] = [];
  for (let index = 0; index < count; index++)
    rows.push(makeRow(rows.at(-1), 1000 + index, `payload-${index}`));
  return rows;
}

const textOf = (rows: readonly Row[]) => rows.map((row) => `${row.line}\n`).join('');

describe('Rows of the demo’s database', () => {
  const rows = rowsOf(6);

  it('are read as they were made', () => {
    expect(readRows(textOf(rows))).toEqual({ rows });
    expect(readRows('')).toEqual({ rows: [] });
  });

  it.each([
    ['one is missing', textOf(rows.toSpliced(2, 1)), 'row 3 is not where it belongs'],
    ['two are swapped', textOf(rows.toSpliced(2, 2, rows[3] as Row, rows[2] as Row)), 'row 3 is not'],
    ['a byte differs', textOf(rows).replace('payload-2', 'payload-X'), 'row 3 has a wrong checksum'],
    [
      'one was replaced by another that is right in itself',
      textOf(rows.toSpliced(2, 1, makeRow(rows[1], 7, 'other'))),
      'row 4 has a wrong checksum',
    ],
    ['the last is cut off', textOf(rows).slice(0, -5), 'row 6 is cut off'],
    ['zeros follow', `${textOf(rows.slice(0, 3))}${'\0'.repeat(40)}`, 'row 4 is cut off'],
  ])('are not taken for right ones when %s', (_, text, wrong) => {
    const found = readRows(text);
    expect(found.wrong).toContain(wrong);
    expect(found.rows.length).toBeLessThan(rows.length);
  });
});

describe('The comparison of the client’s log with the standby', () => {
  const log: AcknowledgedRow[] = rowsOf(10).map((row) => ({ ...row, acknowledgedAtMs: row.number * 100 }));

  it('counts rows behind the received position, and does not call them lost', () => {
    expect(compareRows(log, log.slice(0, 8), 701)).toEqual({
      acknowledged: 10,
      received: 7,
      onStandby: 8,
      lost: 0,
    });
  });

  it('takes a row that was answered in the very millisecond of the position for not received', () => {
    expect(compareRows(log, log.slice(0, 6), 700)).toMatchObject({ received: 6, lost: 0 });
  });

  it('calls lost what was acknowledged and received and is not there, or is another', () => {
    expect(compareRows(log, log.slice(0, 4), 701)).toMatchObject({ received: 7, onStandby: 4, lost: 3 });
    const other = makeRow(log[5], 5, 'other');
    expect(compareRows(log, log.toSpliced(6, 1, { ...other, acknowledgedAtMs: 0 }), 9999)).toMatchObject({
      received: 10,
      lost: 1,
    });
  });
});

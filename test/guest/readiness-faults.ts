import { expect } from 'vitest';
import { readReadiness } from '../../src/guest/readiness/readiness.ts';
import { deviceOf } from './volumes.ts';

/** What stands in the way on a disk: each with what was expected and what to do. */
export async function faultsOf(disk: Buffer) {
  const { verdict, verdicts } = await readReadiness(deviceOf(disk));
  const faults = verdicts.filter(({ status }) => status !== 'ok');
  for (const fault of faults.filter(({ status }) => status !== 'skipped')) {
    expect(fault.next, fault.code).toMatch(/\S/);
    expect(fault.expected, fault.code).toMatch(/\S/);
  }
  return { verdict, faults: faults.map(({ code, status }) => `${code} ${status}`), found: faults[0]?.found };
}

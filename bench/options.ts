import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { inputError } from '../src/errors.ts';
import type { WorkReport } from './report.ts';
import type { Stage } from './stage.ts';
import { delta } from './works/delta.ts';
import { firstCopy } from './works/first-copy.ts';
import { guest } from './works/guest.ts';
import { journal } from './works/journal.ts';
import { known } from './works/known.ts';
import { many } from './works/many.ts';

export interface BenchOptions {
  readonly only: readonly WorkName[];
  readonly rounds: number;
  readonly sizeMib: number;
  readonly seconds: number;
  readonly json?: string;
  /** Where images and journals lie: choose the disk that is to be measured. */
  readonly folder: string;
  readonly network: 'private' | 'shared';
}

type Work = (stage: Stage, options: BenchOptions) => Promise<WorkReport[]>;

export const WORKS = { 'first-copy': firstCopy, delta, known, journal, guest, many } satisfies Record<
  string,
  Work
>;
export type WorkName = keyof typeof WORKS;

const THOROUGH = { rounds: '5', size: '2048', seconds: '3' };
/** Everything within some minutes: tells that all of it works, and roughly how fast. */
const QUICK = { rounds: '2', size: '256', seconds: '1' };

export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      json: { type: 'string' },
      work: { type: 'string' },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      size: { type: 'string' },
      seconds: { type: 'string' },
      folder: { type: 'string', default: tmpdir() },
      network: { type: 'string', default: 'shared' },
    },
  });
  const usual = values.quick ? QUICK : THOROUGH;
  return {
    only: worksOf(values.only ?? values.work),
    rounds: wholeNumber('rounds', values.rounds ?? usual.rounds),
    sizeMib: wholeNumber('size', values.size ?? usual.size),
    seconds: wholeNumber('seconds', values.seconds ?? usual.seconds),
    folder: resolve(values.folder),
    network: values.network === 'private' ? 'private' : 'shared',
    ...(values.json === undefined ? {} : { json: resolve(values.json) }),
  };
}

function worksOf(only: string | undefined): WorkName[] {
  const all = Object.keys(WORKS) as WorkName[];
  if (only === undefined) return all;
  return only.split(',').map((name) => {
    const found = all.find((one) => one === name);
    if (!found)
      throw inputError('BENCH_UNKNOWN', `There is no bench ${name}.`, `Choose of ${all.join(', ')}.`);
    return found;
  });
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw inputError('BENCH_OPTION', `--${name} takes a whole number above zero, not ${text}.`);
}

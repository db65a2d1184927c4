import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { inputError } from '../src/errors.ts';
import type { WorkReport } from './report.ts';
import type { Stage } from './stage.ts';
import { firstCopy } from './works/first-copy.ts';
import { journal } from './works/journal.ts';

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

export const WORKS = { 'first-copy': firstCopy, journal } satisfies Record<string, Work>;
export type WorkName = keyof typeof WORKS;

export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      json: { type: 'string' },
      rounds: { type: 'string', default: '5' },
      size: { type: 'string', default: '2048' },
      seconds: { type: 'string', default: '3' },
      folder: { type: 'string', default: tmpdir() },
      network: { type: 'string', default: 'shared' },
    },
  });
  return {
    only: worksOf(values.only),
    rounds: wholeNumber('rounds', values.rounds),
    sizeMib: wholeNumber('size', values.size),
    seconds: wholeNumber('seconds', values.seconds),
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

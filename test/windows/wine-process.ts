import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../../src/errors.ts';
import type { WineCase } from './wine-cases.ts';
import { wineCases } from './wine-cases.ts';

/**
 * Runs the cases of wine-cases.ts with Node of Windows, one after the other: `node.exe wine-process.ts RESULT-FILE
 * DISK-IMAGE`. A line for each goes to the file, because Wine gives Node no pipe for its standard output.
 */
const [, , resultFile = '', image = ''] = process.argv;

async function main(): Promise<void> {
  if (process.platform !== 'win32') throw new Error('this is for Node of Windows');
  for (const one of wineCases) await runCase(one);
  appendFileSync(resultFile, 'end\n');
}

async function runCase({ name, run }: WineCase): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'standby-wine-'));
  try {
    await run({ folder, image });
    appendFileSync(resultFile, `passed ${name}\n`);
  } catch (error) {
    const stack = error instanceof Error ? error.stack : undefined;
    appendFileSync(resultFile, `failed ${name}\n${(stack ?? messageOf(error)).replace(/^/gm, '    ')}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();

import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { isSharedAbsent, RECORDINGS_FOLDER, SPECS_FOLDER } from '../shared-data.ts';
import { isAccepted, readExamples } from './examples.ts';
import { readRecordings } from './recordings.ts';
import { reportOf, tableOf } from './report.ts';
import { replayAll } from './theatre.ts';

/**
 * `npm run conformance -- [--recordings DIR | --examples] [--json]`: how far Local Azure answers as real Azure did, or
 * accepts what Microsoft's examples show.
 */
const { values } = parseArgs({
  options: {
    recordings: { type: 'string' },
    examples: { type: 'boolean' },
    json: { type: 'boolean' },
  },
});

/** A relative folder is one of where npm was started. */
function folderOf(given: string | undefined): string {
  return given === undefined ? RECORDINGS_FOLDER : path.resolve(process.env.INIT_CWD ?? '.', given);
}

const folder = folderOf(values.recordings);
if (values.recordings === undefined && isSharedAbsent) {
  process.stderr.write('There are no recordings: ../shared is absent. Name a folder: --recordings DIR\n');
  process.exitCode = 2;
} else if (!existsSync(folder)) {
  process.stderr.write(`There is no folder ${folder}.\n`);
  process.exitCode = 2;
} else {
  const outcomes = values.examples
    ? await replayAll(readExamples(SPECS_FOLDER), isAccepted)
    : await replayAll(readRecordings(folder));
  const report = reportOf(outcomes);
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : tableOf(report));
}

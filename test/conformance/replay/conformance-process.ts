import { parseArgs } from 'node:util';
import { isSharedAbsent, RECORDINGS_FOLDER } from '../shared-data.ts';
import { readRecordings } from './recordings.ts';
import { reportOf, tableOf } from './report.ts';
import { replayAll } from './theatre.ts';

/** `npm run conformance -- [--recordings DIR] [--json]`: how far Local Azure answers as real Azure did. */
const { values } = parseArgs({
  options: { recordings: { type: 'string' }, json: { type: 'boolean' } },
});
const folder = values.recordings ?? RECORDINGS_FOLDER;
if (values.recordings === undefined && isSharedAbsent) {
  process.stderr.write('There are no recordings: ../shared is absent. Name a folder: --recordings DIR\n');
  process.exitCode = 2;
} else {
  const report = reportOf(await replayAll(readRecordings(folder)));
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : tableOf(report));
}

import { writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { asFailure } from './failure.ts';
import { machineFacts } from './machine.ts';
import { readOptions, WORKS } from './options.ts';
import { asText, goalsText, type WorkReport } from './report.ts';
import { onStage } from './stage.ts';

/**
 * `npm run bench`: Standby beside what one would use instead, on this machine, in one run (docs/PERFORMANCE.md). Writes a table
 * and, with `--json FILE`, one document; both hold what was measured and nothing else.
 */
async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  const works: WorkReport[] = [];
  await onStage(options, async (stage) => {
    const machine = await machineFacts(stage.processes, stage.folder);
    stage.tell(`bench in ${stage.folder}, ${stage.network.kind} network, load ${machine.load.join(' ')}`);
    for (const name of options.only) {
      const reports = await WORKS[name](stage, options);
      works.push(...reports);
      for (const report of reports) process.stdout.write(`${asText(report)}\n`);
    }
    process.stdout.write(`${goalsText(works)}\n`);
    const document = { machine, network: stage.network.kind, loadAtEnd: loadavg(), works };
    if (options.json !== undefined)
      await writeFile(options.json, `${JSON.stringify(document, undefined, 2)}\n`);
  });
}

try {
  await main();
} catch (error) {
  process.exitCode = asFailure(error);
}

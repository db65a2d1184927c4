import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeStateFile } from '../block/state-file.ts';
import type { Scenario } from '../model/scenario.ts';
import type { DrillReport } from '../switchover/drill-report.ts';
import { drillHtml, drillMarkdown } from '../switchover/drill-text.ts';
import type { KeptFile } from '../switchover/steps/keep-evidence.ts';
import type { Context } from './context.ts';
import { statusOf } from './scenario-status.ts';

/** Where a drill's report and evidence lie: `<home>/drills/<scenario id>/<run id>/`. */
type Place = Pick<Context, 'homeFolder'>;

const REPORT = 'report.json';

const drillsFolder = ({ homeFolder }: Place, scenarioId: string) => join(homeFolder, 'drills', scenarioId);

export function drillFolder(context: Place, scenarioId: string, runId: string): string {
  return join(drillsFolder(context, scenarioId), runId);
}

export async function keepDrillFile(
  folder: string,
  name: string,
  content: string | Uint8Array,
): Promise<KeptFile> {
  await writeStateFile(join(folder, name), content);
  return { name, bytes: Buffer.byteLength(content), sha256: sha256Of(content) };
}

/** Gives the SHA-256 of report.json. */
export async function writeDrillReport(folder: string, report: DrillReport): Promise<string> {
  const text = `${JSON.stringify(report, null, 2)}\n`;
  for (const [name, content] of Object.entries(filesOf(report, text)))
    await writeStateFile(join(folder, name), content);
  return sha256Of(text);
}

function filesOf(report: DrillReport, text: string): Readonly<Record<string, string>> {
  return { 'report.md': drillMarkdown(report), 'report.html': drillHtml(report), [REPORT]: text };
}

export async function readDrillReport(folder: string): Promise<DrillReport> {
  return JSON.parse(await readFile(join(folder, REPORT), 'utf8')) as DrillReport;
}

export interface CheckedReports {
  /** Oldest first. */
  readonly reports: readonly {
    readonly runId: string;
    readonly endedAt: string;
    readonly outcome: string;
    readonly sha256: string;
  }[];
  readonly problems: readonly string[];
}

/** Whether the reports on this machine are those that were written: each names the one before it, the store the last. */
export async function checkDrillReports(context: Context, scenario: Scenario): Promise<CheckedReports> {
  const { drilled } = await statusOf(context, scenario);
  const problems: string[] = [];
  const read: { readonly report: DrillReport; readonly sha256: string }[] = [];
  for (const runId of await foldersIn(drillsFolder(context, scenario.id))) {
    const folder = drillFolder(context, scenario.id, runId);
    const text = await textOf(join(folder, REPORT));
    // A drill that is under way, or was interrupted, has none yet.
    if (text === undefined) continue;
    const report = parsed(text);
    if (!report) problems.push(`${folder}: ${REPORT} is no report`);
    else {
      read.push({ report, sha256: sha256Of(text) });
      problems.push(...(await problemsIn(folder, report, text)));
    }
  }
  read.sort((a, b) => a.report.endedAt.localeCompare(b.report.endedAt));
  for (const [index, { report }] of read.entries()) {
    const before = read[index - 1]?.sha256;
    if (report.previousSha256 === before) continue;
    problems.push(
      `${report.runId}: it names ${report.previousSha256 ?? 'none'} as the report before it, and here that is ${before ?? 'none'}`,
    );
  }
  const last = read.at(-1)?.sha256;
  if (drilled?.sha256 !== last)
    problems.push(
      `the store knows ${drilled?.sha256 ?? 'none'} as the last report, and here that is ${last ?? 'none'}`,
    );
  const reports = read.map(({ report: { runId, endedAt, outcome }, sha256 }) => ({
    runId,
    endedAt,
    outcome,
    sha256,
  }));
  return { reports, problems };
}

/** The pages say what the JSON says, and the evidence is what it names. */
async function problemsIn(folder: string, report: DrillReport, text: string): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const [name, content] of Object.entries(filesOf(report, text))) {
    if ((await textOf(join(folder, name))) !== content)
      problems.push(`${folder}: ${name} is not what was written`);
  }
  const { serialLog, picture } = report.evidence;
  for (const kept of [serialLog, picture]) {
    if (!kept) continue;
    const content = await unlessAbsent(readFile(join(folder, kept.name)), undefined);
    if (content === undefined || sha256Of(content) !== kept.sha256)
      problems.push(`${folder}: ${kept.name} is not what was kept`);
  }
  return problems;
}

function parsed(text: string): DrillReport | undefined {
  try {
    const report = JSON.parse(text) as Partial<DrillReport>;
    return report.format === 'standby-drill-report/1' ? (report as DrillReport) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function foldersIn(folder: string): Promise<readonly string[]> {
  return unlessAbsent(readdir(folder), []);
}

async function textOf(file: string): Promise<string | undefined> {
  return unlessAbsent(readFile(file, 'utf8'), undefined);
}

async function unlessAbsent<T, Without>(work: Promise<T>, without: Without): Promise<T | Without> {
  try {
    return await work;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return without;
    throw error;
  }
}

function sha256Of(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

import { timeText } from '../clock.ts';
import type { Verdict } from '../model/verdict.ts';
import type { DrillReport } from './drill-report.ts';
import type { DrillOutcome } from './steps/declare-drilled.ts';

/** The report for people, as Markdown and as a page that needs nothing else. Both say what the JSON says. */
type Block =
  | { readonly heading: string }
  | { readonly line: string }
  /** A file beside the report. */
  | { readonly picture: string }
  | { readonly columns: readonly string[]; readonly rows: readonly (readonly string[])[] };

const OUTCOMES: Readonly<Record<DrillOutcome, string>> = {
  passed: 'PASSED: the guest was seen to live.',
  failed: 'FAILED.',
  'not-proven': 'NOT PROVEN: the VM ran, and the guest was not seen to live.',
  skipped: 'SKIPPED: there was no guest that could have been seen to live.',
};

/** How it went, in a sentence, with what is wrong. */
export function drillSentence({ scenario, outcome, failure, cause }: DrillReport): string {
  const name = `The drill of "${scenario.name}"`;
  if (outcome === 'passed') return `${name} passed: the guest was seen to live.`;
  if (outcome === 'not-proven')
    return `${name} proved nothing: the VM ran, and its guest was not seen to live.`;
  if (outcome === 'skipped') return `${name} proved nothing: there was no guest that could have been seen.`;
  const why = failure ? [failure.what, failure.why] : [cause];
  return [`${name} FAILED.`, ...why].filter((one) => one !== undefined).join(' ');
}

export function drillMarkdown(report: DrillReport): string {
  const cell = (text: string) => text.replace(/[\\|]/g, '\\$&').replace(/\s+/g, ' ');
  const row = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  const parts = blocksOf(report).map((block) => {
    if ('heading' in block) return `## ${block.heading}`;
    if ('line' in block) return block.line;
    if ('picture' in block) return `![The screen](${block.picture})`;
    return [row(block.columns), row(block.columns.map(() => '---')), ...block.rows.map(row)].join('\n');
  });
  return `# ${titleOf(report)}\n\n${parts.join('\n\n')}\n`;
}

export function drillHtml(report: DrillReport): string {
  const row = (tag: string, cells: readonly string[]) =>
    `<tr>${cells.map((text) => `<${tag}>${escaped(text)}</${tag}>`).join('')}</tr>`;
  const parts = blocksOf(report).map((block) => {
    if ('heading' in block) return `<h2>${escaped(block.heading)}</h2>`;
    if ('line' in block) return `<p>${escaped(block.line)}</p>`;
    if ('picture' in block) return `<p><img src="${escaped(block.picture)}" alt="The screen"></p>`;
    const rows = block.rows.map((cells) => row('td', cells)).join('\n');
    return `<table>\n${row('th', block.columns)}\n${rows}\n</table>`;
  });
  const title = escaped(titleOf(report));
  const style =
    'body{font:1rem/1.5 sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}' +
    'table{border-collapse:collapse}td,th{border:1px solid #999;padding:.2rem .6rem;text-align:left}';
  return `<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>${title}</title><style>${style}</style></head>\n<body>\n<h1>${title}</h1>\n${parts.join('\n')}\n</body>\n</html>\n`;
}

function titleOf({ scenario, startedAt }: DrillReport): string {
  return `Drill of ${scenario.name}, ${timeText(Date.parse(startedAt))}`;
}

function blocksOf(report: DrillReport): readonly Block[] {
  const { failure, cause, position, hold, vm, boot, evidence, cost } = report;
  const why = failure
    ? [{ line: `${failure.what}${failure.why ? ` ${failure.why}` : ''} (${failure.code})` }]
    : cause === undefined
      ? []
      : [{ line: cause }];
  return [
    { line: OUTCOMES[report.outcome] },
    ...why,
    { line: `Run ${report.runId}, ${seconds(report.totalMs)} in all. Network: ${report.network}.` },
    ...(position ? [{ line: positionLine(position) }] : []),
    ...(hold
      ? [
          {
            line: `The replica stood still for ${seconds(hold.ms)} while it went on receiving${hold.lasted ? '' : `; it did not last: ${hold.why ?? 'unknown'}`}.`,
          },
        ]
      : []),
    ...(vm
      ? [{ line: `VM ${vm.name}, ${vm.size}${vm.zone ? `, zone ${vm.zone}` : ''}, ${vm.region}.` }]
      : []),
    { heading: 'Steps' },
    {
      columns: ['step', 'state', 'time'],
      rows: report.steps.map((one) => [one.title, one.state, seconds(one.ms)]),
    },
    ...patchBlocks(report.patch),
    ...verdictBlocks('Boot proof', boot?.verdicts ?? []),
    ...verdictBlocks('Findings before it', report.findings),
    { heading: 'Evidence' },
    {
      line: evidence.serialLog
        ? `Console: ${evidence.serialLog.name}, ${evidence.serialLog.bytes} bytes, SHA-256 ${evidence.serialLog.sha256}.`
        : `No console: ${evidence.without ?? 'unknown'}.`,
    },
    ...pictureBlocks(evidence),
    { heading: 'Removal' },
    { line: removalLine(report.removal) },
    { heading: 'Cost' },
    { line: costLine(cost) },
    { heading: 'Chain' },
    {
      line: report.previousSha256
        ? `The report before this one has the SHA-256 ${report.previousSha256}.`
        : 'This is the first report of this scenario.',
    },
  ];
}

function positionLine({ sequence, at, ageSeconds, epoch }: NonNullable<DrillReport['position']>): string {
  const where = sequence ? `position ${sequence}` : 'the finished copy';
  return `Data of ${where} (epoch ${epoch}), ${timeText(Date.parse(at))}; ${ageSeconds} s old when the replica stood still.`;
}

/** Reports of before there were pictures say nothing of them, and stay what was written. */
function pictureBlocks({ picture, withoutPicture }: DrillReport['evidence']): readonly Block[] {
  if (withoutPicture !== undefined) return [{ line: `No picture of the screen: ${withoutPicture}.` }];
  if (!picture) return [];
  const { name, bytes, sha256 } = picture;
  return [{ line: `Screen: ${name}, ${bytes} bytes, SHA-256 ${sha256}.` }, { picture: name }];
}

function patchBlocks(patch: DrillReport['patch']): readonly Block[] {
  const { changes = [], left = [], leftOut } = patch ?? {};
  const rows = [
    ...changes.map((one) => [one.diskId, 'changed', one.text]),
    ...left.map((one) => [one.diskId, 'left as it is', one.text]),
  ];
  const heading = { heading: 'Changed in the copy, for its start in Azure' };
  if (leftOut !== undefined) return [heading, { line: `Nothing: ${leftOut}.` }];
  if (rows.length === 0) return [];
  return [heading, { columns: ['disk', '', 'what'], rows }];
}

function verdictBlocks(heading: string, verdicts: readonly Verdict[]): readonly Block[] {
  if (verdicts.length === 0) return [];
  const rows = verdicts.map((one) => [one.title, one.status, one.found]);
  return [{ heading }, { columns: ['check', 'verdict', 'found'], rows }];
}

function removalLine(removal: DrillReport['removal']): string {
  if (removal.state === 'kept')
    return `Kept until ${timeText(Date.parse(removal.until))}; it costs money until then.`;
  const left =
    removal.notOurs.length > 0 ? ` Left alone, because not ours: ${removal.notOurs.join(', ')}.` : '';
  return `${removal.removed.length} resources were removed; ${removal.askedFor.length} names were asked for one by one and the list by tag was empty at ${timeText(Date.parse(removal.at))}.${left}`;
}

function costLine({ knownTotal, currency, pricesOf, unknown }: DrillReport['cost']): string {
  return `About ${knownTotal.toFixed(4)} ${currency} by the prices of ${pricesOf}, without: ${unknown.join('; ')}.`;
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? '-' : `${(ms / 1000).toFixed(1)} s`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => ENTITIES[letter] ?? letter);
}

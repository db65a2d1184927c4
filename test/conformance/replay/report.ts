import type { Difference } from './compare.ts';

/** What came of one recorded interaction. */
export interface Outcome {
  readonly recording: string;
  /** Its place in the recording, from 0. */
  readonly index: number;
  readonly operation: string;
  readonly request: string;
  /** Why it says nothing about Local Azure; undefined: it was compared. */
  readonly notComparable?: string;
  readonly differences: readonly Difference[];
}

export interface OperationCount {
  readonly comparable: number;
  readonly agreed: number;
  readonly agreement: number;
}

/** The document of `npm run conformance -- --json`. */
export interface AgreementReport {
  readonly agreement: number;
  readonly comparable: number;
  readonly agreed: number;
  readonly byOperation: Readonly<Record<string, OperationCount>>;
  readonly differences: readonly (Pick<Outcome, 'recording' | 'index' | 'operation' | 'request'> & {
    readonly found: readonly Difference[];
    readonly explanation: string;
  })[];
  readonly interactions: number;
  readonly notComparable: Readonly<Record<string, number>>;
}

const rounded = (part: number, whole: number) =>
  whole === 0 ? 0 : Math.round((part / whole) * 10_000) / 10_000;

export function reportOf(outcomes: readonly Outcome[]): AgreementReport {
  const compared = outcomes.filter((each) => each.notComparable === undefined);
  const agreed = compared.filter((each) => each.differences.length === 0);
  const operations = [...new Set(compared.map((each) => each.operation))].sort();
  const notComparable: Record<string, number> = {};
  for (const { notComparable: reason } of outcomes) {
    if (reason !== undefined) notComparable[reason] = (notComparable[reason] ?? 0) + 1;
  }
  return {
    agreement: rounded(agreed.length, compared.length),
    comparable: compared.length,
    agreed: agreed.length,
    byOperation: Object.fromEntries(
      operations.map((operation) => {
        const mine = compared.filter((each) => each.operation === operation);
        const good = mine.filter((each) => each.differences.length === 0).length;
        const count = { comparable: mine.length, agreed: good, agreement: rounded(good, mine.length) };
        return [operation, count];
      }),
    ),
    differences: compared
      .filter((each) => each.differences.length > 0)
      .map(({ recording, index, operation, request, differences }) => ({
        recording,
        index,
        operation,
        request,
        found: differences,
        explanation: explain(operation, differences),
      })),
    interactions: outcomes.length,
    notComparable,
  };
}

/** Differences that are known, by rule; anything else is a defect of Local Azure until it is looked at. */
const EXPLANATIONS: readonly {
  readonly operation: RegExp;
  readonly found: RegExp;
  readonly text: string;
}[] = [
  {
    operation: /^PUT Microsoft\.Network\/networkInterfaces$/,
    found: /^headers: azure-asyncoperation:operations \/ $/,
    text: 'api-versions of 2019 announced an operation although the NIC was ready; those of today do not',
  },
  {
    operation: /^PUT Microsoft\.Network\/networkSecurityGroups$/,
    found: /^provisioning state: Succeeded \/ Updating$/,
    text: 'Azure was done before it answered; its header announced an operation all the same',
  },
  {
    operation: /^GET Microsoft\.Compute\/virtualMachines$/,
    found: /^error code: NotFound \/ ResourceNotFound$/,
    text: 'the compute provider lost an evicted VM before Azure Resource Manager knew of it; here both know at once',
  },
  {
    operation: /^GET /,
    found: /^status: 404 \/ 501/,
    text: 'the path names no type: Local Azure says that it does not do this',
  },
];

function explain(operation: string, differences: readonly Difference[]): string {
  const text = differences.map((each) => `${each.aspect}: ${each.recorded} / ${each.answered}`).join('; ');
  const known = EXPLANATIONS.find((each) => each.operation.test(operation) && each.found.test(text));
  return known?.text ?? 'not explained: Local Azure answers differently';
}

/** For people: the table, what was not compared and why, and each difference. */
export function tableOf(report: AgreementReport): string {
  const rows = Object.entries(report.byOperation).map(([operation, count]) => [
    operation,
    String(count.comparable),
    String(count.agreed),
    `${(count.agreement * 100).toFixed(1)} %`,
  ]);
  const all = [
    'all',
    String(report.comparable),
    String(report.agreed),
    `${(report.agreement * 100).toFixed(1)} %`,
  ];
  const table = [['operation', 'comparable', 'agreed', 'agreement'], ...rows, all];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0)))
      .join('  ');
  const left = Object.entries(report.notComparable)
    .sort((one, other) => other[1] - one[1])
    .map(([reason, count]) => `  ${count} ${reason}`);
  const differences = report.differences.map((each) => {
    const found = each.found.map(
      (one) => `${one.aspect}: Azure ${one.recorded || '-'}, here ${one.answered || '-'}`,
    );
    return `  ${each.recording}#${each.index} ${each.request}\n    ${found.join('; ')}\n    ${each.explanation}`;
  });
  return [
    ...table.map(line),
    '',
    `Not comparable: ${report.interactions - report.comparable} of ${report.interactions}`,
    ...left,
    '',
    `Differences: ${report.differences.length}`,
    ...differences,
    '',
  ].join('\n');
}

import { type Check, type Explained, GROUPS } from './check.ts';

/** The page of all codes (docs/VERIFY.md), made of what the checks say of themselves. Pure. */
export interface ExplainedCode extends Explained {
  readonly code: string;
  readonly check: string;
  readonly group: string;
}

/** What a check that could not look is told as; it belongs to the runner (verify.ts) and not to a check. */
const COULD_NOT_RUN: ExplainedCode = {
  code: 'CHECK_COULD_NOT_RUN',
  check: 'every check',
  group: 'Every check',
  status: 'error',
  cause:
    'The check could not look: Azure or the appliance gave no answer. Before a copy that is an error; at switchover, and where only the permission to look is missing, it is `skipped`.',
  cure: 'See the reason in its text, then verify again.',
};

export function explainedCodes(checks: readonly Check[]): readonly ExplainedCode[] {
  const codes = inOrder(checks).flatMap(({ title, group, codes: known }) =>
    Object.entries(known).map(([code, explained]) => ({ code, check: title, group, ...explained })),
  );
  return [...codes, COULD_NOT_RUN];
}

const HEAD = `# What \`standby scenario verify\` finds

Made by \`standby scenario codes > docs/VERIFY.md\` out of the checks themselves; a test holds it to them.

A check answers \`ok\`, \`warning\`, \`error\` or \`skipped\` (nothing was proven; never \`ok\`), each with a code that stays the
same. Every check looks, whatever the others find. An **error** stands in the way: exit code 3. A **warning** does too
until it is put right or accepted by name: \`standby scenario verify SCENARIO --accept CODE\` keeps who accepted it and when,
with the scenario. At switchover only errors stand in the way, and of those none that another size or zone to fall back on
may put right. \`--json\` prints \`{"scenario","state","ok","accepted","verdicts":[{"code","status","title","found",
"expected","next"}]}\`.

**When.** Before a scenario is saved (\`create\`), before each copy (\`run\`), before the standby is built (\`switchover\`, where
only what could stop Azure is asked), and in between (\`watch\`): by \`standby scenario verify\`, and every 15 minutes by
\`standby serve\`, which calls the same \`verdictsFor\` of \`src/control/scenario.ts\` and tells what is new by an event.

**Prices** are an estimate from a dated table. \`STANDBY_PRICES\`, or \`prices.json\` in the home folder, takes the place of ours:
\`{"date":"2030-01-31","currency":"EUR","machineHour":{"Standard_D2s_v5":0.1},"windowsCoreHour":0.05,
"diskGibMonth":{"StandardSSD_LRS":0.08},"publicIpHour":0.005}\`.
`;

/** Markdown. */
export function verifyDocument(checks: readonly Check[]): string {
  const parts = GROUPS.flatMap((group) => {
    const members = checks.filter((check) => check.group === group);
    return members.length === 0 ? [] : [`## ${group}\n`, ...members.map(section)];
  });
  const { code, cause, cure } = COULD_NOT_RUN;
  return [HEAD, ...parts, '## Every check\n', `${TABLE}\n${row(code, 'error, skipped', cause, cure)}\n`].join(
    '\n',
  );
}

const TABLE = '| code | | cause | cure |\n|---|---|---|---|';

function section({ id, title, moments, codes }: Check): string {
  const when = moments ? `Looks at ${moments.join(', ')}${watchToo(moments)}.` : 'Looks always.';
  const rows = Object.entries(codes).map(([code, { status, cause, cure }]) => row(code, status, cause, cure));
  return `### ${title} (\`${id}\`)\n${when}\n\n${TABLE}\n${rows.join('\n')}\n`;
}

function watchToo(moments: NonNullable<Check['moments']>): string {
  return moments.includes('create') && !moments.includes('watch') ? ', watch' : '';
}

function row(code: string, status: string, cause: string, cure: string): string {
  return `| ${code} | ${status} | ${cause} | ${cure} |`;
}

function inOrder(checks: readonly Check[]): readonly Check[] {
  return GROUPS.flatMap((group) => checks.filter((check) => check.group === group));
}

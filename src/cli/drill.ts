import { type Command, InvalidArgumentError } from 'commander';
import { timeText } from '../clock.ts';
import type { DrillSettings } from '../control/drill-settings.ts';
import { inputError } from '../errors.ts';
import type { DrillReport } from '../switchover/drill-report.ts';
import { optionText } from './answers.ts';
import { type Call, leaf, Outcome } from './command.ts';
import { confirmed } from './confirm.ts';
import { done, listing, note, warn } from './people.ts';
import type { Shell } from './shell.ts';

const FAILED = 1;
const CHECKS_FAILED = 3;
const KEEP_HOURS = 4;
const KEEP_HOURS_MAX = 168;

export function addDrillCommand(program: Command, shell: Shell): void {
  leaf(
    program,
    'drill [scenario]',
    'Boots a copy of the replica in an isolated network, proves it and removes it; replication goes on',
    shell,
    drill,
  )
    .option('--keep', `leave what it makes for ${KEEP_HOURS} hours, to look at it; it costs money until then`)
    .option('--keep-hours <number>', 'leave it for so many hours', hours)
    .option('--no-patch', 'the copy starts as it is: nothing is changed in it for Azure')
    .option('--remove', 'remove what interrupted and kept drills of the scenario have left')
    .option('--list', 'list the drills that were held, newest first')
    .option('--check-reports', 'whether the reports on this machine are those that were written')
    .option(
      '--ask-from <prefix>',
      'set who may ask the health check in drills from now on: the public address behind which this machine is, a prefix, or none',
    )
    .option('--schedule <when>', 'standby serve holds drills: daily 03:00, weekly sun 03:00 (UTC), or off');
}

function hours(text: string): number {
  const value = Number(text);
  if (value > 0 && value <= KEEP_HOURS_MAX) return value;
  throw new InvalidArgumentError(`It is a number of hours, up to ${KEEP_HOURS_MAX}.`);
}

async function drill(call: Call): Promise<unknown> {
  const [scenario] = call.args;
  if (call.options.list === true) return list(call, scenario);
  if (scenario === undefined) {
    throw inputError('USAGE', 'The name of a scenario is needed.', 'standby drill SCENARIO, or --list');
  }
  const schedule = optionText(call, 'schedule');
  const askFrom = optionText(call, 'askFrom');
  if (schedule !== undefined || askFrom !== undefined) return set(call, scenario, { schedule, askFrom });
  if (call.options.checkReports === true) return check(call, scenario);
  return call.options.remove === true ? remove(call, scenario) : hold(call, scenario);
}

async function hold(call: Call, name: string): Promise<unknown> {
  const { drillSentence, proposeDrill, startDrill } = await import('../control/drill.ts');
  const context = await call.context();
  const kept = call.options.keep === true ? KEEP_HOURS : undefined;
  const wanted = (call.options.keepHours as number | undefined) ?? kept;
  const proposal = await proposeDrill(context, name, {
    ...(wanted === undefined ? {} : { keepHours: wanted }),
    ...(call.options.patch === false ? { leaveOutPatch: true } : {}),
  });
  const { keepHours, unfinished } = proposal;
  if (unfinished)
    note(call, `The drill of ${timeText(unfinished.createdAtMs)} was interrupted; it is gone on with.`);
  note(call, proposal.place);
  note(call, `It makes, and ${keepHours === undefined ? 'removes again' : `keeps for ${keepHours} hours`}:`);
  for (const made of proposal.makes) note(call, `  ${made.type.split('/').at(-1)} ${made.name}`);
  await confirmed(
    call,
    'Hold the drill? Its VM and disks cost money while they are there; replication goes on.',
  );
  const { report, folder, sha256 } = await startDrill(context, proposal);
  const isPassed = report.outcome === 'passed';
  tellDrill(call, report, drillSentence(report));
  note(call, `Report: ${folder}/report.html`);
  const { scenario, runId, outcome, totalMs, position } = report;
  const document = {
    scenario: scenario.name,
    runId,
    outcome,
    totalSeconds: totalMs / 1000,
    ...(position ? { position } : {}),
    folder,
    sha256,
    report,
  };
  return isPassed ? document : new Outcome(document, FAILED);
}

function tellDrill(call: Call, report: DrillReport, sentence: string): void {
  const { boot, outcome, removal, scenario } = report;
  (outcome === 'passed' ? done : warn)(call, sentence);
  for (const { title, status, found } of boot?.verdicts ?? []) note(call, `  ${title}: ${status}, ${found}`);
  note(
    call,
    removal.state === 'kept'
      ? `It is kept until ${timeText(Date.parse(removal.until))} and costs money; sooner: standby drill ${scenario.name} --remove`
      : `Nothing of it is left: ${removal.removed.length} resources were removed, and every name was asked for.`,
  );
}

async function remove(call: Call, name: string): Promise<unknown> {
  const { removeDrills } = await import('../control/drill.ts');
  const { scenario, removed } = await removeDrills(await call.context(), name);
  done(call, removed.length > 0 ? 'Everything of its drills is removed.' : 'No drill had left anything.');
  return { scenario: scenario.name, removed };
}

async function list(call: Call, name: string | undefined): Promise<unknown> {
  const { drillsTold } = await import('../control/drill-list.ts');
  const { settingsOf } = await import('../control/drill-settings.ts');
  const context = await call.context();
  const drills = await drillsTold(context, name);
  listing(call, 'No drill was held yet.', {
    title: 'Drills',
    columns: ['scenario', 'begun', 'outcome', 'kept until', 'run'],
    rows: drills.map((one) => [
      one.scenario,
      timeText(Date.parse(one.begunAt)),
      one.outcome,
      one.keptUntil ? timeText(Date.parse(one.keptUntil)) : '-',
      one.runId,
    ]),
  });
  if (name === undefined) return { drills };
  const settings = await settingsOf(context, name);
  note(call, scheduleText(settings));
  note(call, settings.place);
  return { drills, settings };
}

async function check(call: Call, name: string): Promise<unknown> {
  const { checkDrillReports } = await import('../control/drill-files.ts');
  const { scenarioNamed } = await import('../control/scenario-named.ts');
  const context = await call.context();
  const { reports, problems } = await checkDrillReports(context, await scenarioNamed(context, name));
  for (const problem of problems) warn(call, problem);
  if (problems.length === 0) done(call, `${reports.length} reports, each of them as it was written.`);
  const document = { scenario: name, reports, problems };
  return problems.length === 0 ? document : new Outcome(document, CHECKS_FAILED);
}

interface Settings {
  readonly schedule: string | undefined;
  readonly askFrom: string | undefined;
}

/** Settings of the drills to come; none is held by it. */
async function set(call: Call, name: string, { schedule, askFrom }: Settings): Promise<unknown> {
  const { setDrills, settingsOf } = await import('../control/drill-settings.ts');
  const context = await call.context();
  const wanted = (text: string, nothing: string) => {
    const plain = text.trim().toLowerCase();
    return plain === nothing ? null : plain;
  };
  await setDrills(context, name, {
    ...(schedule === undefined ? {} : { schedule: wanted(schedule, 'off') }),
    ...(askFrom === undefined ? {} : { askFrom: wanted(askFrom, 'none') }),
  });
  const settings = await settingsOf(context, name);
  done(call, scheduleText(settings));
  note(call, settings.place);
  return settings;
}

function scheduleText({ scenario, schedule }: DrillSettings): string {
  return `Drills of ${scenario}: ${schedule ? `${schedule} UTC, held by standby serve` : 'by hand only'}.`;
}

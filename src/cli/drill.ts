import { type Command, InvalidArgumentError } from 'commander';
import { timeText } from '../clock.ts';
import { inputError } from '../errors.ts';
import { optionText } from './answers.ts';
import { type Call, leaf, Outcome } from './command.ts';
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
    .option('--remove', 'remove what interrupted and kept drills of the scenario have left')
    .option('--list', 'list the drills that were held, newest first')
    .option('--check-reports', 'whether the reports on this machine are those that were written')
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
  if (schedule !== undefined) return scheduled(call, scenario, schedule);
  if (call.options.checkReports === true) return check(call, scenario);
  return call.options.remove === true ? remove(call, scenario) : hold(call, scenario);
}

async function hold(call: Call, name: string): Promise<unknown> {
  const { proposeDrill, startDrill } = await import('../control/drill.ts');
  const context = await call.context();
  const kept = call.options.keep === true ? KEEP_HOURS : undefined;
  const keepHours = (call.options.keepHours as number | undefined) ?? kept;
  const proposal = await proposeDrill(context, name, keepHours === undefined ? {} : { keepHours });
  note(call, `It makes, and ${keepHours === undefined ? 'removes again' : `keeps for ${keepHours} hours`}:`);
  for (const made of proposal.makes) note(call, `  ${made.type.split('/').at(-1)} ${made.name}`);
  if (!call.yes && !(await agreed(call))) {
    throw inputError('NOT_CONFIRMED', 'Nothing was begun.', 'Answer yes, or give --yes.');
  }
  const { report, folder, sha256 } = await startDrill(context, proposal);
  const isPassed = report.outcome === 'passed';
  const why = report.failure ? ` ${report.failure.what}` : '';
  const text = `The drill of ${name} ${isPassed ? 'passed' : `is ${report.outcome.toUpperCase()}`}.${why}`;
  (isPassed ? done : warn)(call, text);
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

async function agreed(call: Call): Promise<boolean> {
  const answer = await call.host.ask(
    {
      name: 'yes',
      kind: 'confirm',
      message: 'Hold the drill? Its VM and disks cost money while they are there; replication goes on.',
      noFlag: { from: '--yes' },
    },
    {},
  );
  return answer.kind === 'value' && (answer.value === true || answer.value === 'yes');
}

async function remove(call: Call, name: string): Promise<unknown> {
  const { removeDrills } = await import('../control/drill.ts');
  const { scenario, removed } = await removeDrills(await call.context(), name);
  done(call, removed.length > 0 ? 'Everything of its drills is removed.' : 'No drill had left anything.');
  return { scenario: scenario.name, removed };
}

async function list(call: Call, name: string | undefined): Promise<unknown> {
  const { drillsTold } = await import('../control/drill-list.ts');
  const drills = await drillsTold(await call.context(), name);
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
  return { drills };
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

async function scheduled(call: Call, name: string, schedule: string): Promise<unknown> {
  const { scheduleDrills } = await import('../control/drill.ts');
  const wanted = schedule.trim().toLowerCase();
  const saved = await scheduleDrills(await call.context(), name, wanted === 'off' ? undefined : wanted);
  const { drillSchedule } = saved;
  done(call, `Drills of ${saved.name}: ${drillSchedule ? `${drillSchedule} UTC` : 'by hand only'}.`);
  if (drillSchedule) note(call, 'standby serve holds them; they cost what any drill costs.');
  return { scenario: saved.name, schedule: drillSchedule ?? null };
}

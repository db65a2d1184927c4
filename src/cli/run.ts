import { type Command, InvalidArgumentError } from 'commander';
import { inputError } from '../errors.ts';
import { acceptedOf, acceptOption, optionText } from './answers.ts';
import { type Call, leaf } from './command.ts';
import { eventHost } from './event-host.ts';
import { done, listing, warn } from './people.ts';
import type { Shell } from './shell.ts';
import { statusNotices } from './status-notices.ts';
import { timeOf } from './time-option.ts';

export function addRunCommands(program: Command, shell: Shell): void {
  acceptOption(
    leaf(program, 'run <scenario>', 'Copies the master, or goes on with an unfinished copy', shell, run),
  )
    .option('--lanes <number>', 'data connections side by side, 1 to 8 (default: 2)', wholeNumber)
    .option(
      '--compression <kind>',
      'zstd where it pays, as measured on the way (default), or none',
      oneOf('none', 'zstd'),
    )
    .option(
      '--sync <mode>',
      'volume or block (default: by what was completed before)',
      oneOf('volume', 'block'),
    )
    .option('--start-at <time>', 'begin then: 22:30 (the next), or 2030-01-15T22:30 with or without a zone')
    .option('--ignore-same-size-and-time', 'refused: it is for synchronising files, not whole disks')
    .addHelpText(
      'after',
      '\nWith --json every line of standard output is one JSON document: {"step":...}, {"progress":...} and {"text":...}\n' +
        'as the copy goes, and at the end the result (or {"error":...}).',
    );
  leaf(program, 'stop <scenario>', 'Stops a scenario; its copied disks stay', shell, stop);
  leaf(program, 'status [scenario]', 'Shows where a scenario stands', shell, status)
    .option('--watch', 'again and again until Ctrl-C; with --json one document a line')
    .option('--every <seconds>', 'with --watch: how often (default: 2)', seconds);
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 8) return value;
  throw new InvalidArgumentError('It is a whole number from 1 to 8.');
}

function seconds(text: string): number {
  const value = Number(text);
  if (value >= 0.1 && value <= 3600) return value;
  throw new InvalidArgumentError('It is a number of seconds, 0.1 to 3600.');
}

function oneOf(...words: readonly string[]): (text: string) => string {
  return (text) => {
    if (words.includes(text)) return text;
    throw new InvalidArgumentError(`It is one of ${words.join(', ')}.`);
  };
}

async function run(call: Call): Promise<unknown> {
  const context = await call.context();
  const wizards = await call.shell.parts.wizards();
  const { lanes, compression, sync } = call.options;
  if (call.options.ignoreSameSizeAndTime === true) throw fileLevelOnly();
  const startAt = optionText(call, 'startAt');
  const startAtMs = startAt === undefined ? undefined : timeOf(startAt, call.shell.clock.now());
  const preset = { scenario: call.args[0], lanes, compression, sync, startAtMs };
  const telling = call.json ? { ...context, host: eventHost(call) } : context;
  const report = (await wizards.run(telling, {
    preset,
    yes: call.yes,
    accept: acceptedOf(call),
  })) as RunReport;
  const { scenario, status: state, run: record, resumed } = report;
  return {
    scenario: scenario.name,
    state: state.state,
    ...travelled(record),
    ...(state.synchronisedAtMs === undefined
      ? {}
      : { synchronisedAt: new Date(state.synchronisedAtMs).toISOString() }),
    ...(state.seen ? { position: state.seen.appliedSequence } : {}),
    sync: (record.input as { readonly options?: { readonly sync?: unknown } }).options?.sync,
    digests: state.digests ?? [],
    runId: record.id,
    resumed,
  };
}

/** What was sent, and what was not and why: of the run's copy. */
function travelled({ steps }: RunReport['run']): Record<string, unknown> {
  const output = steps.find(({ stepId }) => stepId === 'copy-disks')?.output;
  const { totalBytes, sentBytes, wireBytes, leftOutBytes } = (output ?? {}) as Partial<
    Record<string, number>
  >;
  return { totalBytes, sentBytes, wireBytes, leftOutBytes };
}

function fileLevelOnly() {
  return inputError(
    'FILE_LEVEL_ONLY',
    'Files of the same size and time stamp cannot be ignored here.',
    'A full-system scenario copies disks, and a disk has no files to pass over: what is equal is found by its content. Leave the option out; --sync block sends only what differs.',
  );
}

type RunReport = import('../control/run.ts').RunReport;

async function stop(call: Call): Promise<unknown> {
  const { stopScenario } = await import('../control/stop.ts');
  const {
    scenario,
    status: state,
    cancelled,
    notes,
  } = await stopScenario(await call.context(), String(call.args[0]));
  for (const line of notes) warn(call, line);
  done(call, `Scenario ${scenario.name} is ${state.state}; its copied disks stay.`);
  return {
    scenario: scenario.name,
    state: state.state,
    ...(cancelled ? { cancelledRun: cancelled } : {}),
    notes,
  };
}

async function status(call: Call): Promise<unknown> {
  const context = await call.context();
  const { scenarioStatus } = await import('../control/status.ts');
  const name = call.args[0];
  if (call.options.watch === true) return watch(call, name, scenarioStatus);
  if (name === undefined) {
    const names = (await context.store.scenarios.list()).map((one) => one.name);
    const views = await Promise.all(names.map((one) => scenarioStatus(context, one)));
    listing(call, 'There is no scenario yet: standby scenario create', {
      columns: ['scenario', 'state'],
      rows: views.map((view) => [view.scenario.name, view.sentence]),
    });
    return { scenarios: views.map(documentOf) };
  }
  const view = await scenarioStatus(context, name);
  for (const notice of statusNotices(view)) call.host.tell(notice);
  return documentOf(view);
}

async function watch(
  call: Call,
  name: string | undefined,
  look: typeof import('../control/status.ts').scenarioStatus,
): Promise<unknown> {
  if (name === undefined) {
    throw inputError(
      'SCENARIO_MISSING',
      'Only one scenario can be watched.',
      'Name it: standby status SCENARIO --watch',
    );
  }
  const context = await call.context();
  const { watchStatus } = await import('./watch.ts');
  return watchStatus(call, {
    everyMs: typeof call.options.every === 'number' ? call.options.every * 1000 : 2000,
    look: (trend) => look(context, name, trend),
    document: (view) => documentOf(view),
  });
}

type StatusView = import('../control/status.ts').StatusView;

function documentOf(view: StatusView): Record<string, unknown> {
  const { scenario, status: state, ...rest } = view;
  return {
    scenario: scenario.name,
    product: 'HA',
    serverType: scenario.serverType,
    purpose: scenario.purpose,
    ...state,
    ...(state.synchronisedAtMs === undefined
      ? {}
      : { synchronisedAt: new Date(state.synchronisedAtMs).toISOString() }),
    ...rest,
  };
}

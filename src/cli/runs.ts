import type { Command } from 'commander';
import { isoTime, timeText } from '../clock.ts';
import type { RunRecord } from '../plan/plan.ts';
import { optionText } from './answers.ts';
import { type Call, leaf } from './command.ts';
import { done, listing } from './people.ts';
import type { Shell } from './shell.ts';

export function addRunRecordCommands(program: Command, shell: Shell): void {
  leaf(program, 'runs [run]', 'Lists durable runs, newest first, or shows the steps of one', shell, runs)
    .option('--scenario <name>', 'only those of a scenario')
    .option('--unfinished', 'only those that can go on');
  leaf(program, 'resume <run>', 'Goes on with an interrupted or failed run', shell, resume).option(
    '--undo',
    'take back exactly what it has made instead',
  );
  leaf(program, 'events', 'Lists what happened, oldest first', shell, events)
    .option('--scenario <name>', 'only those of a scenario')
    .option('--run <run>', 'only those of a run')
    .option('--after <event>', 'only those after this one, by id')
    .option('--last <number>', 'the newest so many', '50');
}

async function runs(call: Call): Promise<unknown> {
  const context = await call.context();
  const { isInterrupted, listRuns, runNamed } = await import('../control/runs.ts');
  const wordOf = (run: RunRecord) => (isInterrupted(run) ? 'interrupted' : run.status);
  const id = call.args[0];
  if (id !== undefined) {
    const run = await runNamed(context, id);
    call.host.tell({
      kind: 'table',
      title: `${run.title}: ${wordOf(run)}`,
      columns: ['step', 'status', 'tries', 'error'],
      rows: run.steps.map((step) => [step.title, step.status, String(step.attempts), step.error?.what ?? '']),
    });
    const { input: _definition, ...facts } = run;
    return { ...facts, interrupted: isInterrupted(run) };
  }
  const scenario = optionText(call, 'scenario');
  const found = await listRuns(context, {
    ...(scenario === undefined ? {} : { scenario }),
    unfinished: call.options.unfinished === true,
  });
  listing(call, 'There is no such run.', {
    columns: ['run', 'what', 'status', 'began', 'steps done'],
    rows: found.map((run) => [
      run.id,
      run.title,
      wordOf(run),
      timeText(run.createdAtMs),
      `${run.steps.filter((step) => step.status === 'done').length} of ${run.steps.length}`,
    ]),
  });
  return {
    runs: found.map((run) => ({
      id: run.id,
      kind: run.kind,
      subject: run.subject,
      title: run.title,
      status: run.status,
      interrupted: isInterrupted(run),
      createdAt: isoTime(run.createdAtMs),
      ...(run.endedAtMs === undefined ? {} : { endedAt: isoTime(run.endedAtMs) }),
      steps: run.steps.map(({ stepId, status: stepStatus, attempts }) => ({
        stepId,
        status: stepStatus,
        attempts,
      })),
    })),
  };
}

async function resume(call: Call): Promise<unknown> {
  const control = await import('../control/runs.ts');
  const context = await call.context();
  const id = String(call.args[0]);
  const { run, result } =
    call.options.undo === true ? await control.undo(context, id) : await control.resume(context, id);
  done(call, `${run.title}: ${run.status}.`);
  return { runId: run.id, kind: run.kind, status: run.status, result: withoutInput(result) };
}

/** A run's record holds the whole definition it began with; nobody asked for that here. */
function withoutInput(result: unknown): unknown {
  if (typeof result !== 'object' || result === null) return result;
  const { run: _record, ...rest } = result as Record<string, unknown>;
  return rest;
}

async function events(call: Call): Promise<unknown> {
  const { listEvents } = await import('../control/events.ts');
  const scenario = optionText(call, 'scenario');
  const runId = optionText(call, 'run');
  const afterId = optionText(call, 'after');
  const last = Number(call.options.last);
  const found = await listEvents(await call.context(), {
    ...(scenario === undefined ? {} : { scenario }),
    ...(runId === undefined ? {} : { runId }),
    ...(afterId === undefined ? {} : { afterId }),
    ...(Number.isInteger(last) && last > 0 ? { last } : {}),
  });
  listing(call, 'Nothing has happened yet.', {
    columns: ['time', 'level', 'code', 'text'],
    rows: found.map((one) => [timeText(one.atMs), one.level, one.code, one.text]),
  });
  return { events: found };
}

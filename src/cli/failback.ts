import type { Command } from 'commander';
import type { FailbackPart, FailbackReport } from '../control/failback.ts';
import { inputError } from '../errors.ts';
import { type Call, leaf } from './command.ts';
import { confirmed } from './confirm.ts';
import { done, note } from './people.ts';
import type { Shell } from './shell.ts';

export function addFailbackCommand(program: Command, shell: Shell): void {
  leaf(
    program,
    'failback <scenario>',
    'Brings a server home: its disks get what its standby wrote (standby restore, on that machine)',
    shell,
    failback,
  )
    .option('--prepare', 'only the copy, while the standby goes on working')
    .option('--finish', 'stop the standby, send the last difference, make the master the server again')
    .option('--from-replica', 'without a standby: onto new disks of the master, the replica as it stands')
    .option(
      '--remove-standby',
      'remove the standby VM and its disks in the end; otherwise it is kept, deallocated',
    )
    .option('--no-scripts', "come home without the scenario's scripts")
    .option('--undo', 'take an unfinished or prepared failback back: the standby goes on');
}

async function failback(call: Call): Promise<unknown> {
  const name = String(call.args[0]);
  const { undo, prepare, finish, fromReplica } = call.options;
  const chosen = [undo, prepare, finish, fromReplica].filter((one) => one === true);
  if (chosen.length > 1) {
    throw inputError(
      'FAILBACK_UNCLEAR',
      '--prepare, --finish, --from-replica and --undo do not go together.',
      'Give one of them, or none: then it is prepared and finished.',
    );
  }
  if (undo) return undoing(call, name);
  if (fromReplica) return documentOf(await part(call, name, 'from-replica'));
  if (prepare) return documentOf(await part(call, name, 'prepare'));
  if (!finish && !(await isFinishing(call, name))) await part(call, name, 'prepare');
  return documentOf(await part(call, name, 'finish'));
}

/** Its last part was begun, or it was prepared before. */
async function isFinishing(call: Call, name: string): Promise<boolean> {
  const [{ scenarioNamed, unfinishedRuns }, { statusOf }, { FAILBACK_KINDS }] = await Promise.all([
    import('../control/scenario-named.ts'),
    import('../control/scenario-status.ts'),
    import('../control/failback.ts'),
  ]);
  const context = await call.context();
  const scenario = await scenarioNamed(context, name);
  const unfinished = await unfinishedRuns(context, scenario);
  if (unfinished.some((run) => run.kind === FAILBACK_KINDS.prepare)) return false;
  return (await statusOf(context, scenario)).state === 'failing-back';
}

const QUESTIONS: Readonly<Record<FailbackPart, string>> = {
  prepare: 'Copy the running standby to the disks of its master?',
  finish: 'Stop the standby now, and make the master the server again?',
  'from-replica': 'Write the replica as it stands onto the disks of the master?',
};

async function part(call: Call, name: string, which: FailbackPart): Promise<FailbackReport> {
  const { failBack, proposeFailback } = await import('../control/failback.ts');
  const context = await call.context();
  const { removeStandby, scripts } = call.options;
  const proposal = await proposeFailback(context, name, {
    part: which,
    removeStandby: removeStandby === true,
    leaveOutScripts: scripts === false,
  });
  for (const { type, name: made } of proposal.makes)
    note(call, `Makes ${type.split('/').at(-1)} ${made}, and removes it again`);
  await confirmed(call, QUESTIONS[which], { cautious: true });
  note(
    call,
    `On the machine that comes home: standby restore --target DISK (new hardware: standby restore-token ${name})`,
  );
  const report = await failBack(context, proposal);
  if (which === 'prepare')
    done(call, `${name} is prepared; its standby goes on. The last part: standby failback ${name} --finish`);
  else done(call, `${name} is home: start the server. ${report.status.reason ?? ''}`.trim());
  return report;
}

async function undoing(call: Call, name: string): Promise<unknown> {
  const { undoFailback } = await import('../control/failback.ts');
  const report = await undoFailback(await call.context(), name);
  done(call, `The failback of ${name} is taken back; the scenario is ${report.status.state}.`);
  return documentOf(report);
}

function documentOf({ scenario, status, run, restored }: FailbackReport) {
  return {
    scenario: scenario.name,
    state: status.state,
    runId: run.id,
    runStatus: run.status,
    ...(restored ? { restored } : {}),
    ...(status.standbyVmId === undefined ? {} : { standbyVmId: status.standbyVmId }),
  };
}

import type { Command } from 'commander';
import { timeText } from '../clock.ts';
import type { GroupProposal } from '../control/group/switchover.ts';
import { allSwitchedOver } from '../control/group/words.ts';
import { inputError } from '../errors.ts';
import { type Call, leaf, Outcome } from './command.ts';
import { cancelled } from './failure.ts';
import { addGroupDefinitionCommands } from './group.ts';
import { done, listing, note, warn } from './people.ts';
import { pointOf } from './point-option.ts';
import { durationText } from './rendering.ts';
import type { Shell } from './shell.ts';

export function addGroupCommands(program: Command, shell: Shell): void {
  const group = program.command('group').description('Scenarios that go together, wave after wave');
  addGroupDefinitionCommands(group, shell);
  leaf(group, 'status <group>', 'Shows where the members stand, and on which side', shell, status);
  leaf(group, 'run <group>', 'Copies all masters, or goes on with unfinished copies', shell, run).option(
    '--parallel <number>',
    'so many members at once (default: 4)',
  );
  leaf(group, 'stop <group>', 'Stops all scenarios; their copied disks stay', shell, stop);
  leaf(
    group,
    'drill <group>',
    'Holds a drill of each member, side by side, each in a network of its own',
    shell,
    drill,
  )
    .option('--parallel <number>', 'so many at once (default: 4)')
    .option('--no-patch', 'the copies start as they are: nothing is changed in them for Azure');
  switchFlags(
    leaf(group, 'switchover <group>', 'Switches all members over, wave after wave', shell, switchover),
  );
  goOnFlags(
    leaf(group, 'resume <group>', 'Goes on: behind a pause, after a failure or a crash', shell, resume),
  );
  switchFlags(
    leaf(group, 'recover <group>', 'Brings a group that stands on both sides to one', shell, recover),
  )
    .option('--side <side>', 'standby: switch those over that are left; master: take the others back')
    .option('--remove', 'with --side master: remove the standbys, and with them what they have written');
}

function goOnFlags(command: Command): Command {
  return command
    .option('--past-failures', 'members that fail no longer hold the next wave back')
    .option('--continue-pauses', 'do not stop at pauses: nobody is there to look')
    .option('--parallel <number>', 'so many members at once (default: what Azure lets one write)');
}

function switchFlags(command: Command): Command {
  return goOnFlags(command)
    .option('--to <bookmark>', 'live scenarios: latest (default), or a bookmark that each of them has')
    .option('--to-time <time>', "all to one moment: each has its state at this time of its master's clock")
    .option('--planned', 'the masters are there: stop them, wait for all that they have written, compare')
    .option('--no-wait-for-journals', 'begin at once: received changes that are not applied yet are lost')
    .option('--accept-unprotected', 'replicas that do not follow their masters now: from their last position')
    .option('--master-is-down', 'masters that cannot be reached to be fenced are off, and you know it')
    .option('--no-redirect', 'go live without redirections')
    .option('--no-scripts', "go live without the scenarios' scripts")
    .option('--no-patch', 'the sealed copies start as they are: nothing is changed in them')
    .option('--accept-unproven-boot', 'you have looked: go live although a boot could not be proven');
}

function choiceOf({ options }: Call) {
  const parallel = parallelOf(options.parallel);
  return {
    ...(options.pastFailures === true ? { pastFailures: true } : {}),
    ...(options.continuePauses === true ? { continuePauses: true } : {}),
    ...(parallel === undefined ? {} : { parallel }),
  };
}

function parallelOf(given: unknown): number | undefined {
  if (given === undefined) return undefined;
  const value = Number(given);
  if (Number.isInteger(value) && value >= 1 && value <= 50) return value;
  throw inputError('PARALLEL_WRONG', `\`--parallel ${String(given)}\` cannot be.`, 'It is 1 to 50.');
}

function requestOf(call: Call) {
  const { options } = call;
  const flags = ['planned', 'acceptUnprotected', 'masterIsDown', 'acceptUnprovenBoot'] as const;
  return {
    ...Object.fromEntries(flags.filter((name) => options[name] === true).map((name) => [name, true])),
    ...pointOf(call),
    ...(options.waitForJournals === false ? { waitForJournals: false } : {}),
    ...(options.redirect === false ? { leaveOutRedirect: true } : {}),
    ...(options.patch === false ? { leaveOutPatch: true } : {}),
    ...(options.scripts === false ? { leaveOutScripts: true } : {}),
  };
}

async function switchover(call: Call): Promise<unknown> {
  const control = await import('../control/group/switchover.ts');
  const context = await call.context();
  const choice = choiceOf(call);
  const name = String(call.args[0]);
  const proposal = await control.proposeGroupSwitchover(context, name, requestOf(call), choice);
  tellProposal(call, proposal);
  await confirmed(call, proposal.group.name, 'to switch the group over');
  return outcomeDocument(call, await control.switchGroupOver(context, proposal, choice));
}

function tellProposal(call: Call, { group, members, input, unfinished }: GroupProposal): void {
  if (unfinished) note(call, `The unfinished switchover ${unfinished.id} is gone on with.`);
  listing(call, 'The group has no member.', {
    title: `Switching group ${group.name} over${atOnceText(members.length, input.parallel)}:`,
    columns: ['wave', 'scenario', 'state', 'what is lost'],
    rows: members.map(({ wave, scenario, state, loss, refused }) => [
      String(wave),
      scenario.name,
      state,
      refused ? `LEFT BEHIND: ${refused.why}` : (loss?.text ?? 'nothing is done: it has switched over'),
    ]),
  });
  const moment = momentText(input.request.point);
  if (moment) note(call, `Their standbys will ${moment}.`);
  input.group.waves.forEach(({ delaySeconds, pause }, index) => {
    if (delaySeconds !== undefined) note(call, `After wave ${index + 1}: ${delaySeconds} s are waited.`);
    if (pause !== undefined) note(call, `After wave ${index + 1}: pause. ${pause}`);
  });
  warn(
    call,
    `Make sure that ${members.length === 1 ? 'the master no longer works for its clients' : 'the masters no longer work for their clients'}: what is written there from now on is lost, and two servers must not answer under one name.`,
  );
}

function atOnceText(count: number, parallel: number): string {
  if (count === 1) return '';
  return parallel >= count ? ', as many at once as a wave has' : `, at most ${parallel} at once`;
}

function momentText(point: GroupProposal['input']['request']['point']): string | undefined {
  if (point === undefined || 'latest' in point) return undefined;
  if ('timeMs' in point) return `have the state of ${timeText(point.timeMs)}, each by its master's clock`;
  return 'bookmark' in point ? `have the state of their bookmark ${point.bookmark}` : undefined;
}

async function confirmed(call: Call, name: string, what: string): Promise<void> {
  if (call.yes) return;
  const isRight = (value: unknown) => String(value).trim() === name;
  const answer = await call.host.ask(
    {
      name: 'confirm',
      kind: 'text',
      message: `Type the group's name (${name}) ${what}`,
      noFlag: { from: '--yes' },
      first: true,
      validate: (value) =>
        isRight(value) ? undefined : `That is not ${name}. Ctrl-C leaves; nothing is changed.`,
    },
    {},
  );
  if (answer.kind === 'value' && isRight(answer.value)) return;
  throw cancelled();
}

type GroupOutcome = Awaited<ReturnType<typeof import('../control/group/switchover.ts').switchGroupOver>>;

function outcomeDocument(call: Call, { group, run, members, pause, failed }: GroupOutcome): Outcome {
  listing(call, 'The group has no member.', {
    title: `Group ${group.name}`,
    columns: ['wave', 'scenario', 'outcome', 'boot', 'took', 'why'],
    rows: members.map((one) => [
      String(one.wave),
      one.scenario,
      one.outcome,
      one.boot ?? '',
      one.totalMs === undefined ? '' : durationText(one.totalMs),
      one.error?.what ?? '',
    ]),
  });
  if (failed.length > 0) {
    const again = `standby group ${run.status === 'done' ? 'recover' : 'resume'} ${group.name}`;
    const next =
      run.status === 'done'
        ? `Those left: ${again} --side standby`
        : `Again: ${again}; the next wave all the same: ${again} --past-failures`;
    warn(call, `Failed: ${failed.join(', ')}. ${next}`);
  } else if (!pause) {
    done(call, allSwitchedOver(group.name, members.length));
  }
  const document = {
    group: group.name,
    runId: run.id,
    state: pause ? 'paused' : run.status,
    ...(pause ? { pause: pause.text } : {}),
    members,
    failed,
  };
  return new Outcome(document, failed.length > 0 ? 1 : pause ? 4 : 0);
}

async function resume(call: Call): Promise<unknown> {
  const { resumeGroup } = await import('../control/group/resume.ts');
  const outcome = await resumeGroup(await call.context(), String(call.args[0]), choiceOf(call));
  return 'failed' in outcome ? outcomeDocument(call, outcome) : backDocument(call, outcome);
}

async function recover(call: Call): Promise<unknown> {
  const { side } = call.options;
  if (side === 'standby') return switchover(call);
  if (side !== 'master') {
    throw inputError(
      'SIDE_MISSING',
      'A person says on which side the group is to stand.',
      'Give --side standby (switch those over that are left) or --side master (take the others back).',
    );
  }
  const control = await import('../control/group/recover.ts');
  const context = await call.context();
  const proposal = await control.proposeBack(context, String(call.args[0]), {
    remove: call.options.remove === true,
  });
  listing(call, 'The group has no member.', {
    title: `Bringing group ${proposal.group.name} back to its masters:`,
    columns: ['scenario', 'state', 'what happens'],
    rows: proposal.members.map((one) => [one.scenario, one.state, one.text]),
  });
  await confirmed(call, proposal.group.name, 'to bring the group back to its masters');
  return backDocument(call, await control.bringGroupBack(context, proposal));
}

type BackReport = Awaited<ReturnType<typeof import('../control/group/recover.ts').bringGroupBack>>;

function backDocument(call: Call, { group, run: record, members }: BackReport): Outcome {
  listing(call, 'The group has no member.', {
    title: `Group ${group.name}`,
    columns: ['scenario', 'outcome'],
    rows: members.map((one) => [one.scenario, one.outcome]),
  });
  const failed = members.filter((one) => one.outcome === 'failed').map((one) => one.scenario);
  if (failed.length > 0)
    warn(call, `Failed: ${failed.join(', ')}. Again: standby group resume ${group.name}`);
  else
    done(
      call,
      `Group ${group.name} is on its masters. Not protected any more: standby group run ${group.name}`,
    );
  const document = { group: group.name, runId: record.id, state: record.status, members, failed };
  return new Outcome(document, failed.length > 0 ? 1 : 0);
}

async function status(call: Call): Promise<unknown> {
  const { groupStatus } = await import('../control/group/status.ts');
  const { group, members, ...rest } = await groupStatus(await call.context(), String(call.args[0]));
  listing(call, 'The group has no member.', {
    title: `Group ${group.name}`,
    columns: ['wave', 'scenario', 'side', 'state'],
    rows: members.map(({ wave, scenario, side, view }) => [String(wave), scenario, side, view.sentence]),
  });
  for (const { scenario, error } of rest.switchover?.members ?? [])
    if (error) warn(call, `${scenario}: ${error.what}${error.next ? ` ${error.next}` : ''}`);
  note(call, rest.sentence);
  return {
    group: group.name,
    ...rest,
    members: members.map(({ wave, scenario, side, view }) => ({
      wave,
      scenario,
      side,
      state: view.status.state,
      sentence: view.sentence,
      rpoSeconds: view.rpoSeconds,
      ...(view.status.standbyVmId ? { vmId: view.status.standbyVmId } : {}),
    })),
  };
}

async function drill(call: Call): Promise<unknown> {
  const { drillGroup } = await import('../control/group/run.ts');
  const parallel = parallelOf(call.options.parallel);
  const name = String(call.args[0]);
  await confirmed(call, name, 'to hold a drill of each member; their VMs and disks cost money meanwhile');
  const { group, members } = await drillGroup(await call.context(), name, {
    ...(parallel === undefined ? {} : { parallel }),
    ...(call.options.patch === false ? { leaveOutPatch: true } : {}),
  });
  listing(call, 'The group has no member.', {
    title: `Drills of group ${group.name}`,
    columns: ['scenario', 'outcome', 'report or why not'],
    rows: members.map((one) => [
      one.scenario,
      one.outcome ?? 'FAILED',
      one.error?.what ?? [...(one.notes ?? []), one.folder ?? ''].join(' '),
    ]),
  });
  const failed = members.filter((one) => one.outcome !== 'passed').map((one) => one.scenario);
  return new Outcome({ group: group.name, members, failed }, failed.length > 0 ? 1 : 0);
}

async function run(call: Call): Promise<unknown> {
  const { runGroup } = await import('../control/group/run.ts');
  const parallel = parallelOf(call.options.parallel);
  return togetherDocument(
    call,
    await runGroup(await call.context(), String(call.args[0]), parallel === undefined ? {} : { parallel }),
  );
}

async function stop(call: Call): Promise<unknown> {
  const { stopGroup } = await import('../control/group/run.ts');
  return togetherDocument(call, await stopGroup(await call.context(), String(call.args[0])));
}

type TogetherReport = Awaited<ReturnType<typeof import('../control/group/run.ts').runGroup>>;

function togetherDocument(call: Call, { group, members }: TogetherReport): Outcome {
  for (const { scenario, notes } of members)
    for (const text of notes ?? []) warn(call, `[${scenario}] ${text}`);
  listing(call, 'The group has no member.', {
    title: `Group ${group.name}`,
    columns: ['scenario', 'state', 'why not'],
    rows: members.map((one) => [
      one.scenario,
      one.state ?? 'FAILED',
      one.error ? [one.error.what, one.error.next].filter(Boolean).join(' ') : '',
    ]),
  });
  const failed = members.filter((one) => one.error).map((one) => one.scenario);
  return new Outcome({ group: group.name, members, failed }, failed.length > 0 ? 1 : 0);
}

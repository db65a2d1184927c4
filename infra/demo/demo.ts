import { readFile } from 'node:fs/promises';
import { isoTime } from '../../src/clock.ts';
import { inputError, messageOf, StandbyError } from '../../src/errors.ts';
import type { Firmware } from '../../src/model/disk.ts';
import type { DemoCall, DemoCapture, DemoFacts, DemoStory, OutageRows } from './call.ts';
import { claim, clear, type Household, householdIn, moveIn } from './household.ts';
import type { Scene, StoryStep } from './scene.ts';
import { storyOf } from './story.ts';

/**
 * The whole main job, once, on this machine: a running server is copied to an appliance and followed, dies, a standby VM
 * appears in Local Azure through the real Azure SDK, boots, and answers HTTP with the server's own data. Every step is
 * a command that a person could type. Killed at any line, the next demo first clears what the last one left.
 */
export async function runDemo(call: DemoCall): Promise<number> {
  const house = householdIn(call.homeFolder);
  if (call.args[0] === 'down') return takeDown(call, house);
  if (call.args[0] !== undefined) {
    throw inputError(
      'USAGE',
      `The demo knows no "${call.args[0]}".`,
      'Use `standby demo` or `standby demo down`.',
    );
  }
  const firmware = firmwareOf(call);
  const capture = captureOf(call);
  const story = storyNamed(call, capture);
  await moveIn(house);
  await clear(house, call);
  await claim(house, call.processId);
  const keep = call.options.keep === true;
  try {
    const facts = await tell(call, house, { firmware, capture, story });
    if (keep) await tellWhatStays(call, house, facts);
    else await clear(house, call);
    return facts.ok ? 0 : 1;
  } catch (error) {
    await clearAfter(call, house, error);
    throw error;
  }
}

function firmwareOf(call: DemoCall): Firmware {
  const wanted = call.options.firmware ?? 'bios';
  if (wanted !== 'bios' && wanted !== 'uefi') {
    throw inputError(
      'USAGE',
      `The demo's server cannot boot by "${String(wanted)}".`,
      'Use --firmware bios or uefi.',
    );
  }
  return wanted;
}

function captureOf(call: DemoCall): DemoCapture {
  const wanted = call.options.capture ?? 'nbd';
  if (wanted !== 'nbd' && wanted !== 'at-rest') {
    throw inputError(
      'USAGE',
      `The demo cannot capture with "${String(wanted)}".`,
      'Use --capture nbd or at-rest.',
    );
  }
  return wanted;
}

function storyNamed(call: DemoCall, capture: DemoCapture): DemoStory {
  const wanted = call.options.story ?? 'switchover';
  if (wanted !== 'switchover' && wanted !== 'outage') {
    throw inputError(
      'USAGE',
      `The demo has no story "${String(wanted)}".`,
      'Use --story switchover or outage.',
    );
  }
  if (wanted === 'outage' && capture !== 'nbd') {
    throw inputError('USAGE', 'An outage is that of a running server.', 'Leave --capture at-rest out.');
  }
  return wanted;
}

async function takeDown(call: DemoCall, house: Household): Promise<number> {
  await moveIn(house);
  await clear(house, call);
  call.host.tell({
    kind: 'text',
    level: 'success',
    text: 'The demo is gone: no process and no file of it is left.',
  });
  if (call.json) call.print({ ok: true });
  return 0;
}

async function tell(
  call: DemoCall,
  house: Household,
  { firmware, capture, story }: { firmware: Firmware; capture: DemoCapture; story: DemoStory },
): Promise<DemoFacts> {
  const outage = story === 'outage' ? { outage: { seconds: {} } } : {};
  const scene: Scene = { call, house, facts: { ok: false, firmware, ...outage }, live: {} };
  try {
    const rows = await play(scene, storyOf(capture, story));
    call.host.tell({ kind: 'table', title: '', columns: ['', 'step', 'time', 'what came of it'], rows });
  } finally {
    await scene.live.writer?.close();
  }
  const told = scene.facts as DemoFacts;
  call.host.tell({ kind: 'text', level: told.ok ? 'success' : 'error', text: verdictOn(told) });
  if (call.json) call.print(told);
  return told;
}

/** Gives the table of the steps. */
async function play(scene: Scene, story: readonly StoryStep[]): Promise<string[][]> {
  const { call } = scene;
  const rows: string[][] = [];
  const begun = call.clock.now();
  for (const [index, step] of story.entries()) {
    call.signal.throwIfAborted();
    const id = `${index + 1}/${story.length}`;
    call.host.tell({ kind: 'step', id, title: `${id} ${step.title}`, status: 'started' });
    const from = call.clock.now();
    const detail = await step.run(scene).catch((error: unknown) => {
      call.host.tell({ kind: 'step', id, title: `${id} ${step.title}`, status: 'failed' });
      throw error;
    });
    const ms = call.clock.now() - from;
    rows.push([String(index + 1), step.title, `${(ms / 1000).toFixed(1)} s`, detail]);
    call.host.tell({ kind: 'step', id, title: `${id} ${step.title}`, status: 'done', detail, ms });
  }
  rows.push(['', 'together', `${((call.clock.now() - begun) / 1000).toFixed(1)} s`, '']);
  return rows;
}

function verdictOn({ standby, master, rows, outage }: DemoFacts): string {
  if (standby.sha256 !== master.sha256)
    return `The standby's data differs: ${standby.sha256}, the server's is ${master.sha256}.`;
  const same = `The standby answered with the server's own data: SHA-256 ${standby.sha256} on both.`;
  if (!rows) return same;
  const home = outage?.rows && homecoming(outage.rows);
  if (home) return `${same}\n${home}`;
  return rows.lost === 0
    ? `${same}\nOf ${rows.received} rows that were acknowledged and received, none is lost.`
    : `${same}\n${rows.lost} ROWS ARE LOST that were acknowledged and received.`;
}

function homecoming({ received, writtenInCloud, lost }: OutageRows): string {
  const all = `the ${received} rows that were acknowledged and received, and the ${writtenInCloud} written in the cloud`;
  return lost === 0 ? `At home are ${all}: none is lost.` : `${lost} ROWS ARE LOST of ${all}.`;
}

async function clearAfter(call: DemoCall, house: Household, cause: unknown): Promise<void> {
  const log = await readFile(`${house.folder}/master-engine.log`, 'utf8').catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    },
  );
  call.log.error('the demo stopped', {
    cause: messageOf(cause),
    at: isoTime(call.clock.now()),
    masterEngine: log.slice(-4000),
  });
  try {
    await clear(house, call);
  } catch (error) {
    throw new StandbyError({
      code: 'DEMO_NOT_CLEARED',
      what: `The demo stopped (${messageOf(cause)}) and could not clear everything away.`,
      why: messageOf(error),
      next: 'Run `standby demo down`.',
      cause: error,
    });
  }
}

async function tellWhatStays(call: DemoCall, house: Household, facts: DemoFacts): Promise<void> {
  const home = house.controlHome;
  const lines = [
    'Everything is left running. To look around:',
    `  export STANDBY_HOME=${home}`,
    '  npx standby status demo          what the scenario is doing',
    '  npx standby runs                 the runs, step by step',
    '  npx standby events               what happened',
    '  npx standby local status         what Local Azure holds',
    '  npx standby local env            for other Azure clients',
    ...(facts.outage ? [] : [`  curl ${new URL('/', facts.standby.url)}      the standby itself`]),
    'To end it: npx standby demo down (with your own STANDBY_HOME, not the one above)',
  ];
  call.host.tell({ kind: 'text', level: 'info', text: lines.join('\n') });
}

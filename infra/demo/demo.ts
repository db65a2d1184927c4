import { readFile } from 'node:fs/promises';
import { isoTime } from '../../src/clock.ts';
import { inputError, messageOf, StandbyError } from '../../src/errors.ts';
import type { Firmware } from '../../src/model/disk.ts';
import type { DemoCall, DemoFacts } from './call.ts';
import { claim, clear, type Household, householdIn, moveIn } from './household.ts';
import { STORY } from './story.ts';

/**
 * The whole main job, once, on this machine: a real server's disk travels to an appliance, a standby VM appears in
 * Local Azure through the real Azure SDK, boots, and answers HTTP with the server's own data. Every step is a
 * command that a person could type. Killed at any line, the next demo first clears what the last one left.
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
  if (call.options.capture !== undefined && call.options.capture !== 'at-rest') {
    throw inputError(
      'USAGE',
      `The demo cannot capture with "${call.options.capture}".`,
      'Use --capture at-rest.',
    );
  }
  await moveIn(house);
  await clear(house, call);
  await claim(house, call.processId);
  const keep = call.options.keep === true;
  try {
    const facts = await tell(call, house, firmware);
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

async function tell(call: DemoCall, house: Household, firmware: Firmware): Promise<DemoFacts> {
  const facts: Partial<DemoFacts> & { firmware: Firmware } = { ok: false, firmware };
  const rows: string[][] = [];
  const begun = call.clock.now();
  for (const [index, step] of STORY.entries()) {
    call.signal.throwIfAborted();
    const id = `${index + 1}/${STORY.length}`;
    call.host.tell({ kind: 'step', id, title: `${id} ${step.title}`, status: 'started' });
    const from = call.clock.now();
    const detail = await step.run({ call, house, facts }).catch((error: unknown) => {
      call.host.tell({ kind: 'step', id, title: `${id} ${step.title}`, status: 'failed' });
      throw error;
    });
    const ms = call.clock.now() - from;
    rows.push([String(index + 1), step.title, `${(ms / 1000).toFixed(1)} s`, detail]);
    call.host.tell({ kind: 'step', id, title: `${id} ${step.title}`, status: 'done', detail, ms });
  }
  rows.push(['', 'together', `${((call.clock.now() - begun) / 1000).toFixed(1)} s`, '']);
  call.host.tell({ kind: 'table', title: '', columns: ['', 'step', 'time', 'what came of it'], rows });
  const told = facts as DemoFacts;
  call.host.tell({
    kind: 'text',
    level: told.ok ? 'success' : 'error',
    text: told.ok
      ? `The standby answered with the server's own data: SHA-256 ${told.standby.sha256} on both.`
      : `The standby's data differs: ${told.standby.sha256}, the server's is ${told.master.sha256}.`,
  });
  if (call.json) call.print(told);
  return told;
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
    `  curl ${new URL('/', facts.standby.url)}      the standby itself`,
    'To end it: npx standby demo down (with your own STANDBY_HOME, not the one above)',
  ];
  call.host.tell({ kind: 'text', level: 'info', text: lines.join('\n') });
}

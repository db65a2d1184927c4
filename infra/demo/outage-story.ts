import { rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isStandbyError, messageOf } from '../../src/errors.ts';
import { MIB } from '../../src/model/disk.ts';
import type { OutageSpan } from './call.ts';
import type { Household } from './household.ts';
import { BOOT_MS, fetchRows, SOME_ROWS, startServer, startServingEngine } from './live-story.ts';
import { APPEND_PATH } from './master-image.ts';
import { standby } from './product.ts';
import { makeRow, type Row } from './rows.ts';
import { commandOptions, control, given, SCENARIO, type Scene, type StoryStep, unexpected } from './scene.ts';

/**
 * What an outage has besides the switchover: the drill that was held before it, and the way home onto new hardware. The
 * old machine is gone with its disk; what comes home is what the standby holds, and that is held to every row.
 */
export const DRILL: StoryStep = { title: 'Hold a drill; the client goes on', run: holdDrill };

export const OUTAGE_STEPS: readonly StoryStep[] = [
  { title: 'Clients append rows to the standby', run: (scene) => appendToStandby(scene) },
  { title: 'A new machine: prepare the failback', run: prepareFailback },
  { title: 'More rows; stop the standby, come home', run: finishFailback },
  { title: 'Start the server at home', run: startAtHome },
  { title: "Compare its rows with the clients'", run: compareAtHome },
  { title: 'Protect it again', run: protectAgain },
];

async function holdDrill(scene: Scene): Promise<string> {
  const outage = given(scene.facts.outage, 'outage');
  const writer = given(scene.live.writer, 'client');
  const before = writer.acknowledged.length;
  const { result } = await timed(scene, 'drill', () => control(scene, ['drill', SCENARIO, '--yes']));
  const rowsMeanwhile = writer.acknowledged.length - before;
  if (rowsMeanwhile === 0) throw unexpected('No row was written during the drill.', await writer.ended);
  const { outcome, report } = result as unknown as DrillFacts;
  const boot = report.boot.outcome;
  outage.drill = { outcome, boot, rowsMeanwhile };
  const answer = report.boot.verdicts.find((verdict) => verdict.code === 'HEALTH_OK');
  if (outcome !== 'passed' || !answer)
    throw unexpected("The drill's web page did not answer.", JSON.stringify(report.boot.verdicts));
  return `${outcome}: ${answer.found}; ${rowsMeanwhile} rows written meanwhile`;
}

interface DrillFacts {
  readonly outcome: string;
  readonly report: {
    readonly boot: {
      readonly outcome: string;
      readonly verdicts: readonly { readonly code: string; readonly found: string }[];
    };
  };
}

async function appendToStandby(scene: Scene): Promise<string> {
  await append(scene, given(scene.facts.standby, 'standby').url);
  const { length } = given(scene.live.rows, 'rows of the standby');
  return `${SOME_ROWS} rows, each acknowledged; it has ${length}`;
}

/** As a client does: each row is durable when it is answered. */
async function append({ call, live }: Scene, site: string): Promise<void> {
  const before = given(live.rows, 'rows of the server');
  const rows: Row[] = [];
  for (let count = 0; count < SOME_ROWS; count++) {
    rows.push(makeRow(rows.at(-1) ?? before.at(-1), call.clock.now(), `cloud${count}`));
  }
  const response = await fetch(new URL(APPEND_PATH, site), {
    method: 'POST',
    body: rows.map(({ line }) => `${line}\n`).join(''),
    signal: AbortSignal.any([call.signal, AbortSignal.timeout(60_000)]),
  });
  const said = (await response.text()).trim().split('\n');
  const wanted = [`last ${before.length}`, ...rows.map(({ number }) => `kept ${number}`)];
  if (said.join() !== wanted.join())
    throw unexpected('The server did not keep the rows.', said.join(', ').slice(0, 400));
  live.rows = [...before, ...rows];
}

/** The new machine asks for its disk by itself; control waits for it and lets it in. */
async function prepareFailback(scene: Scene): Promise<string> {
  const { house, facts, live } = scene;
  const home = atHome(house);
  await rm(house.diskFile);
  await writeFile(home.diskFile, '');
  await truncate(home.diskFile, given(facts.diskBytes, 'size of the disk'));
  const { result } = await control(scene, ['restore-token', SCENARIO]);
  live.restore = standby(['restore', '--token', '-', '--target', home.diskFile], {
    ...commandOptions(scene),
    input: `${String(result.token)}\n`,
    home: home.masterHome,
  });
  const preparedBytes = await timed(scene, 'prepare', () => failback(scene, '--prepare'));
  given(facts.outage, 'outage').failback = { preparedBytes, finishedBytes: 0 };
  return `${mib(preparedBytes)} travelled to an empty disk; the standby goes on`;
}

async function finishFailback(scene: Scene): Promise<string> {
  const { facts, live } = scene;
  await append(scene, given(facts.standby, 'standby').url);
  const finishedBytes = await timed(scene, 'finish', () => failback(scene, '--finish'));
  const { mayBoot } = (await given(live.restore, 'restore')).result;
  if (mayBoot !== true) throw unexpected('The restored server may not boot.', String(mayBoot));
  const outage = given(facts.outage, 'outage');
  outage.failback = { ...given(outage.failback, 'preparation'), finishedBytes };
  return `${mib(finishedBytes)} more; both ends equal`;
}

/** One part of it; gives the bytes that travelled. A restore that fails ends the waiting. */
async function failback(scene: Scene, part: '--prepare' | '--finish'): Promise<number> {
  const going = control(scene, ['failback', SCENARIO, part, '--yes']);
  const failing = given(scene.live.restore, 'restore').then(() => going);
  const { restored } = (await Promise.race([going, failing])).result as FailbackFacts;
  return given(restored, 'proof of the failback').sentBytes;
}

interface FailbackFacts {
  readonly restored?: { readonly sentBytes: number };
}

async function startAtHome(scene: Scene): Promise<string> {
  const home: Scene = { ...scene, house: atHome(scene.house) };
  const { live } = scene;
  await control(scene, ['vm', 'stop', SCENARIO, '--remove', '--yes']);
  return await timed(scene, 'boot', async () => {
    const served = given(live.diskUri, 'place of the old disk');
    await startServingEngine(home);
    const { webPort } = await startServer(home, served);
    const rows = await untilAnswers(scene, webPort);
    return `master01 runs on its new disk; the standby is removed; ${rows.length} rows`;
  });
}

/** QEMU accepts for the guest before the guest does. */
async function untilAnswers({ call }: Scene, webPort: number): Promise<readonly Row[]> {
  const until = call.clock.now() + BOOT_MS;
  for (;;) {
    try {
      return await fetchRows(siteAt(webPort), call);
    } catch (error) {
      call.signal.throwIfAborted();
      // It answers, and with something else.
      if (isStandbyError(error)) throw error;
      if (call.clock.now() > until) throw unexpected('The server at home does not answer.', messageOf(error));
      await call.clock.sleep(300, call.signal);
    }
  }
}

async function compareAtHome({ call, facts, live }: Scene): Promise<string> {
  const outage = given(facts.outage, 'outage');
  const onStandby = given(facts.rows, "standby's rows");
  const writer = given(live.writer, 'client');
  const wanted = given(live.rows, 'rows of the standby');
  const found = await fetchRows(siteAt(given(live.guest, 'server').webPort), call);
  const lost = wanted.filter((row) => found[row.number - 1]?.line !== row.line).length;
  const writtenInCloud = wanted.length - onStandby.onStandby;
  outage.rows = {
    written: writer.acknowledged.length + (writer.underWay ? 1 : 0),
    acknowledged: onStandby.acknowledged,
    received: onStandby.received,
    presentAfterSwitchover: onStandby.onStandby,
    writtenInCloud,
    presentAfterFailback: found.length,
    lost: lost + onStandby.lost,
  };
  facts.ok = facts.ok === true && outage.rows.lost === 0 && found.length === wanted.length;
  return `${found.length} rows in order: ${onStandby.onStandby} from before, ${writtenInCloud} from the cloud, ${lost} lost`;
}

async function protectAgain(scene: Scene): Promise<string> {
  const { facts } = scene;
  // At the rate of its last minutes this small spool would be full within hours, which the checks say.
  const run = ['run', SCENARIO, '--accept', 'SPOOL_SHORT'];
  const { result } = await timed(scene, 'protect', () => control(scene, run));
  const [state, sentBytes] = [String(result.state), Number(result.sentBytes)];
  given(facts.outage, 'outage').protectedAgain = { state, sentBytes };
  facts.ok = facts.ok === true && state === 'replicating';
  return `${state}; ${mib(sentBytes)} sent of ${mib(given(facts.diskBytes, 'size of the disk'))}`;
}

/** The place of the machine that takes the old one's. */
function atHome(house: Household): Household {
  const { folder } = house;
  return {
    ...house,
    masterHome: join(folder, 'new-master'),
    diskFile: join(folder, 'new-disk.img'),
    nbdSocket: join(folder, 'new.sock'),
    guestFolder: join(folder, 'new-guest'),
  };
}

async function timed<T>({ call, facts }: Scene, span: OutageSpan, work: () => Promise<T>): Promise<T> {
  const from = call.clock.now();
  const done = await work();
  given(facts.outage, 'outage').seconds = {
    ...facts.outage?.seconds,
    [span]: (call.clock.now() - from) / 1000,
  };
  return done;
}

const siteAt = (webPort: number) => `http://127.0.0.1:${webPort}`;
const mib = (bytes: number) => `${(bytes / MIB).toFixed(1)} MiB`;

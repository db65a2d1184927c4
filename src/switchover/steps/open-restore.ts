/**
 * The restore of the master's disks, as control sees it: opened on the appliance, waited for until both ends have proven
 * that they are equal, closed again. Its id is the run's, so opening it twice is once. What is sent, and resumed, is between
 * the appliance and the machine; dying here costs nothing of it. Undo closes it: nothing more is sent.
 */
import { StandbyError } from '../../errors.ts';
import type { DiskDigest } from '../../model/scenario.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import type { ControlSession, RestoreState } from '../../wire/control-session.ts';
import { persistently, withSession } from '../appliance-session.ts';
import { patienceOf, type Work } from '../work.ts';

export interface RestoreChoice {
  /** Nothing newer will come. */
  readonly final: boolean;
  /** By the master's disk id. */
  lunsOf(context: StepContext, session: ControlSession): Promise<Readonly<Record<string, number>>>;
}

export function openRestoreStep(work: Work, choice: RestoreChoice): Step<{ readonly restoreId: string }> {
  const { scenario, inventory, runId } = work;
  return {
    id: 'open-restore',
    title: `Open the restore on ${work.appliance.name}`,
    async run(context) {
      const untilMs = work.clock.now() + patienceOf(work).lunMs;
      // Attached is not yet visible: the guest needs a moment to find its new disks, and until then says LUN_ABSENT.
      await persistently(
        work,
        context,
        async (session) => {
          const luns = await choice.lunsOf(context, session);
          const disks = inventory.disks.map(({ id, sizeBytes }) => ({
            diskId: id,
            lun: luns[id] ?? 0,
            sizeBytes,
          }));
          await session.openRestore({
            scenarioId: scenario.id,
            restoreId: runId,
            final: choice.final,
            disks,
          });
        },
        untilMs,
      );
      return { restoreId: runId };
    },
    async undo() {
      await withSession(work, (session) => session.closeRestore(scenario.id));
    },
  };
}

export const AWAIT_RESTORE = 'await-restore';

export interface Restored {
  readonly digests: readonly DiskDigest[];
  /** What travelled, before compression. */
  readonly sentBytes: number;
  readonly provenAtMs: number;
}

const LOOK_MS = 1000;

export function awaitRestoreStep(work: Work): Step<Restored> {
  return {
    id: AWAIT_RESTORE,
    title: 'Wait until the disks of the master are proven equal',
    async run(context) {
      return await persistently(work, context, (session) => untilProven(work, context, session));
    },
  };
}

async function untilProven(work: Work, context: StepContext, session: ControlSession): Promise<Restored> {
  const { scenario, runId } = work;
  let told = '';
  for (;;) {
    context.signal.throwIfAborted();
    const state = await session.restoreState(scenario.id);
    if (state?.restoreId !== runId) throw restoreClosed(work);
    const { proven, doneBytes, totalBytes } = state;
    if (proven) return { digests: proven.digests, sentBytes: proven.sentBytes, provenAtMs: proven.atMs };
    const line = wordsOf(state, scenario.name);
    if (line !== told) context.progress(line, { passing: true });
    told = line;
    if (state.connected)
      work.tellProgress({ id: AWAIT_RESTORE, title: 'Restoring', doneBytes, totalBytes, bytesPerSecond: 0 });
    await work.clock.sleep(LOOK_MS, context.signal);
  }
}

function wordsOf({ problem, connected, doneBytes, totalBytes }: RestoreState, name: string): string {
  if (problem !== undefined) return `The machine says: ${problem}`;
  if (!connected && doneBytes < totalBytes)
    return `Waiting for the machine: standby restore --target DISK there (new hardware: standby restore-token ${name})`;
  return doneBytes < totalBytes
    ? 'The machine is being sent what differs'
    : 'Both ends read all of their disks, to prove that they are equal';
}

export function closeRestoreStep(work: Work): Step<{ readonly atMs: number }> {
  return {
    id: 'close-restore',
    title: 'Close the restore',
    async run() {
      await withSession(work, (session) => session.closeRestore(work.scenario.id));
      return { atMs: work.clock.now() };
    },
  };
}

function restoreClosed(work: Work): StandbyError {
  const { name } = work.scenario;
  return new StandbyError({
    code: 'RESTORE_CLOSED',
    what: `The restore of "${name}" is not open on the appliance any more.`,
    why: 'The appliance was set up anew, or somebody closed it.',
    next: `Take the failback back and begin again: standby failback ${name} --undo`,
  });
}

/**
 * Promises that Azure says `running` of the standby VM, starting it if it stands still. Only looks and starts, so
 * a resumed run simply looks again. Nothing to undo: the VM's own step removes it.
 */
import { StandbyError } from '../../errors.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import type { CloudMachine } from '../../ports/cloud-machines.ts';
import { patienceOf, type Work } from '../work.ts';

export const WAIT_RUNNING = 'wait-running';
const POLL_MS = 1000;

export interface Running {
  readonly vmId: string;
  readonly power: string;
  readonly runningAtMs: number;
  /** Length of the serial console before this start: what comes after it is new. */
  readonly serialBefore: number;
}

export interface RunningOptions {
  vmIdOf(context: StepContext): string;
  /** True for a VM that ran before: its old console output is no sign of life. */
  readonly hasRunBefore: boolean;
}

export function waitRunningStep(work: Work, options: RunningOptions): Step<Running> {
  return {
    id: WAIT_RUNNING,
    title: 'Wait until Azure says the VM runs',
    actions: actionsOf('machines.instance', 'machines.start', 'machines.serialLog'),
    async run(context) {
      const vmId = options.vmIdOf(context);
      const before = await serialBefore(work, context, vmId, options.hasRunBefore);
      const untilMs = work.clock.now() + patienceOf(work).runningMs;
      let asked = false;
      for (;;) {
        const machine = await work.cloud.machines.instance(vmId);
        const power = powerOf(work, vmId, machine);
        if (power === 'running') {
          return { vmId, power, runningAtMs: work.clock.now(), serialBefore: before };
        }
        if (work.clock.now() >= untilMs) throw notRunning(work, vmId, power);
        if (!asked && STANDS_STILL.has(power)) {
          context.progress(`The VM is ${power}; starting it`);
          await work.cloud.machines.start(vmId, { signal: context.signal });
          asked = true;
        } else {
          context.progress(`Waiting until it runs; it is ${power}`, { passing: true });
        }
        await work.clock.sleep(POLL_MS, context.signal);
      }
    },
  };
}

const STANDS_STILL = new Set(['stopped', 'deallocated']);

/** Remembered from the first try: a later one would take the boot's own output for old. */
async function serialBefore(
  work: Work,
  context: StepContext,
  vmId: string,
  hasRunBefore: boolean,
): Promise<number> {
  if (!hasRunBefore) return 0;
  const remembered = context.checkpoint as { serialBefore: number } | undefined;
  if (remembered) return remembered.serialBefore;
  const length = (await work.cloud.machines.serialLog(vmId))?.length ?? 0;
  await context.save({ serialBefore: length });
  return length;
}

function powerOf(work: Work, vmId: string, machine: CloudMachine | undefined): string {
  if (machine && machine.provisioning !== 'Failed') return machine.power ?? 'not started yet';
  throw new StandbyError({
    code: machine ? 'STANDBY_FAILED' : 'STANDBY_GONE',
    what: machine
      ? `Azure reports the standby VM "${machine.name}" as failed.`
      : `The standby VM is gone: ${vmId}`,
    next: `Take the switchover back and begin again: standby switchover ${work.scenario.name} --undo`,
  });
}

function notRunning(work: Work, vmId: string, power: string): StandbyError {
  const minutes = Math.round(patienceOf(work).runningMs / 60_000);
  return new StandbyError({
    code: 'STANDBY_NOT_RUNNING',
    what: `The standby VM is still ${power} after ${minutes} minutes (${vmId}).`,
    next: `Look at it in Azure, then: standby resume ${work.runId}`,
  });
}

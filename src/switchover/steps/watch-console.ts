/**
 * Promises that a drill has seen more than its guest's first word, which may be the boot loader's: where no health check
 * has answered, the console is followed until it has been quiet for a while, and then it is judged again, with the power
 * state. Only looks, and gives what it found as verdicts, so that the evidence is kept whatever that is; dying at any
 * line leaves nothing, and a resumed drill looks again.
 */
import { isStandbyError } from '../../errors.ts';
import type { Verdict } from '../../model/verdict.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import { readSerialSigns } from '../serial-console.ts';
import type { Work } from '../work.ts';
import { type BootProof, PROVE_BOOT } from './prove-boot.ts';

export const WATCH_CONSOLE = 'watch-console';

const LOOK_MS = 1000;
const QUIET_LOOKS = 10;
/** A console that never is quiet: a minute is enough to see a boot fail. */
const LOOKS_MAX = 60;

export interface Watched {
  readonly verdicts: readonly Verdict[];
}

export function watchConsoleStep(work: Work, vmIdOf: (context: StepContext) => string): Step<Watched> {
  return {
    id: WATCH_CONSOLE,
    title: 'See that its boot goes on',
    actions: actionsOf('machines.serialLog', 'machines.instance'),
    async run(context) {
      const { outcome, verdicts } = context.output<BootProof>(PROVE_BOOT);
      const byConsole = outcome === 'proven' && !verdicts.some((one) => one.code === 'HEALTH_OK');
      if (!byConsole) return { verdicts: [] };
      const vmId = vmIdOf(context);
      const text = await untilQuiet(work, context, vmId);
      const power = (await work.cloud.machines.instance(vmId))?.power ?? 'gone';
      return { verdicts: [judged(text, power)] };
    },
  };
}

async function untilQuiet({ cloud, clock }: Work, context: StepContext, vmId: string): Promise<string> {
  let text = '';
  let quiet = 0;
  for (let looks = 0; looks < LOOKS_MAX && quiet < QUIET_LOOKS; looks++) {
    const now = (await serialOf(cloud, vmId)) ?? text;
    quiet = now.length === text.length ? quiet + 1 : 0;
    text = now;
    context.progress('Following the console until it is quiet', { passing: true });
    await clock.sleep(LOOK_MS, context.signal);
  }
  return text;
}

/** Undefined: it cannot be read just now. */
async function serialOf({ machines }: Work['cloud'], vmId: string): Promise<string | undefined> {
  try {
    return await machines.serialLog(vmId);
  } catch (error) {
    if (isStandbyError(error) && error.retry === 'later') return undefined;
    throw error;
  }
}

function judged(text: string, power: string): Verdict {
  const title = 'Serial console, followed';
  const { lines, lastLine, fault } = readSerialSigns(text);
  const last = `${lines} ${lines === 1 ? 'line' : 'lines'}, last: "${lastLine?.slice(0, 80) ?? ''}"`;
  if (fault) {
    const next = 'Compare the disk with the master, or look at the picture of its screen.';
    return { code: 'BOOT_FAILED', status: 'error', title, found: `The console says "${fault}".`, next };
  }
  if (power !== 'running') {
    const found = `The VM is ${power}; ${last}`;
    return { code: 'POWER_LOST', status: 'error', title, found, expected: 'running' };
  }
  if (lines === 0) {
    const found = 'the console could not be read again';
    return { code: 'SERIAL_SILENT', status: 'skipped', title, found };
  }
  return { code: 'SERIAL_FOLLOWED', status: 'ok', title, found: last };
}

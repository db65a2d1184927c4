/**
 * Promises that what the drill's VM wrote on its serial console is kept beside the report. Only reads in Azure; a console
 * that may not be read, or is not there, is no failure of the drill, and the report says so. Dying at any line is repaired
 * by reading and writing it again.
 */
import { isStandbyError, messageOf } from '../../errors.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import type { Work } from '../work.ts';

export const KEEP_EVIDENCE = 'keep-evidence';

export interface KeptFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface Evidence {
  readonly serialLog?: KeptFile;
  /** Why there is none. */
  readonly without?: string;
}

export function keepEvidenceStep(
  work: Work,
  vmIdOf: (context: StepContext) => string,
  keep: (name: string, content: string) => Promise<KeptFile>,
): Step<Evidence> {
  return {
    id: KEEP_EVIDENCE,
    title: 'Keep what it wrote on its console',
    actions: actionsOf('machines.serialLog'),
    async run(context) {
      const log = await consoleOf(work, vmIdOf(context));
      return 'text' in log ? { serialLog: await keep('serial.log', log.text) } : log;
    },
  };
}

async function consoleOf(
  work: Work,
  vmId: string,
): Promise<{ readonly text: string } | { readonly without: string }> {
  try {
    const text = await work.cloud.machines.serialLog(vmId);
    return text === undefined ? { without: 'Azure has no console of it yet' } : { text };
  } catch (error) {
    if (!isStandbyError(error)) throw error;
    return { without: `the console could not be read: ${messageOf(error)}` };
  }
}

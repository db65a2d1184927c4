import { isStandbyError, StandbyError } from '../errors.ts';
import type { Step } from '../plan/plan.ts';
import type { Work } from './work.ts';

/**
 * A failed step's error says what stands in Azure already, and how to go on or to take exactly that back. Steps of
 * the same stage may have made theirs too, so those are named with a "perhaps".
 */
export function tellingWhatIsLeft(
  work: Work,
  undoCommand: string,
  stages: readonly (readonly Step[])[],
): Step[][] {
  const made: string[] = [];
  return stages.map((stage) => {
    const before = [...made];
    const perhaps = stage.flatMap((step) => (step.makes ?? []).map(nameOf));
    made.push(...perhaps);
    if (before.length + perhaps.length === 0) return [...stage];
    return stage.map((step) => telling(step, leftBehind(work, undoCommand, before, perhaps)));
  });
}

function nameOf({ type, name }: { readonly type: string; readonly name: string }): string {
  return `${NOUNS[type] ?? type} ${name}`;
}

const NOUNS: Readonly<Record<string, string>> = {
  'Microsoft.Compute/disks': 'disk',
  'Microsoft.Compute/snapshots': 'snapshot',
  'Microsoft.Compute/virtualMachines': 'VM',
  'Microsoft.Network/networkInterfaces': 'NIC',
  'Microsoft.Network/publicIPAddresses': 'public address',
};

function leftBehind(
  work: Work,
  undoCommand: string,
  before: readonly string[],
  perhaps: readonly string[],
): string {
  const parts = [
    ...(before.length > 0 ? [before.join(', ')] : []),
    ...(perhaps.length > 0 ? [`perhaps ${perhaps.join(', ')}`] : []),
  ];
  const group = work.scenario.vm.resourceGroup;
  return `Left behind in ${group}: ${parts.join('; ')}. Go on: standby resume ${work.runId}. Remove exactly these: ${undoCommand}`;
}

function telling(step: Step, left: string): Step {
  return {
    ...step,
    async run(context) {
      try {
        return await step.run(context);
      } catch (error) {
        if (context.signal.aborted || !isStandbyError(error)) throw error;
        const { code, what, why, kind, retry, next } = error;
        throw new StandbyError({
          code,
          what,
          ...(why === undefined ? {} : { why }),
          next: next === undefined ? left : `${next} ${left}`,
          kind,
          retry,
          cause: error,
        });
      }
    },
  };
}

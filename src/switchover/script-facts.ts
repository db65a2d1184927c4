import { isoTime } from '../clock.ts';
import { MOMENTS_OF, type ScriptMoment } from '../model/redirect.ts';
import type { StepContext } from '../plan/plan.ts';
import type { Blueprint } from './blueprint.ts';
import { addressesOf } from './made-addresses.ts';
import { CREATE_VIRTUAL_MACHINE, type MadeMachine } from './steps/create-virtual-machine.ts';
import { SEAL_REPLICA, type Sealed } from './steps/seal-replica.ts';
import { type Held, STILL_REPLICA } from './steps/still-replica.ts';
import type { Work } from './work.ts';

/** What is known at that moment of a switchover or a drill; the names get `STANDBY_` before them. */
export function scriptFacts(
  work: Work,
  blueprint: Blueprint,
  at: ScriptMoment,
  context: StepContext,
): Readonly<Record<string, string>> {
  const order = MOMENTS_OF.SWITCHOVER.indexOf(at);
  const facts: Record<string, string | undefined> = {
    SCENARIO: work.scenario.name,
    RUN_ID: work.runId,
    MASTER: work.inventory.hostName,
    VM_NAME: work.scenario.vm.name,
  };
  if (order >= MOMENTS_OF.SWITCHOVER.indexOf('after-seal')) {
    const { position } = work.isDrill
      ? context.output<Held>(STILL_REPLICA)
      : context.output<Sealed>(SEAL_REPLICA);
    facts.POSITION = position?.sequence;
    facts.POSITION_TIME = position && isoTime(position.timeMs);
  }
  if (order >= MOMENTS_OF.SWITCHOVER.indexOf('after-build')) {
    const { publicIp, privateIp } = addressesOf(blueprint, context) ?? {};
    facts.VM_ID = context.output<MadeMachine>(CREATE_VIRTUAL_MACHINE).vmId;
    facts.PUBLIC_IP = publicIp;
    facts.PRIVATE_IP = privateIp;
  }
  return onlyKnown(facts);
}

/** `vmId`: of the standby that the server leaves, when there is one. */
export function homeScriptFacts(work: Work, vmId: string | undefined): Readonly<Record<string, string>> {
  const { scenario, inventory, runId } = work;
  return onlyKnown({
    SCENARIO: scenario.name,
    RUN_ID: runId,
    MASTER: inventory.hostName,
    VM_NAME: scenario.vm.name,
    VM_ID: vmId,
  });
}

function onlyKnown(facts: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  const known = Object.entries(facts).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  );
  return Object.fromEntries(known);
}

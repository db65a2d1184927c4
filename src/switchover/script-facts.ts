import { isoTime } from '../clock.ts';
import { SCRIPT_MOMENTS, type ScriptMoment } from '../model/redirect.ts';
import type { StepContext } from '../plan/plan.ts';
import type { Blueprint } from './blueprint.ts';
import { addressesOf } from './made-addresses.ts';
import { CREATE_VIRTUAL_MACHINE, type MadeMachine } from './steps/create-virtual-machine.ts';
import { SEAL_REPLICA, type Sealed } from './steps/seal-replica.ts';
import type { Work } from './work.ts';

/** What is known at that moment; the names get `STANDBY_` before them. */
export function scriptFacts(
  work: Work,
  blueprint: Blueprint,
  at: ScriptMoment,
  context: StepContext,
): Readonly<Record<string, string>> {
  const order = SCRIPT_MOMENTS.indexOf(at);
  const facts: Record<string, string | undefined> = {
    SCENARIO: work.scenario.name,
    RUN_ID: work.runId,
    MASTER: work.inventory.hostName,
    VM_NAME: work.scenario.vm.name,
  };
  if (order >= SCRIPT_MOMENTS.indexOf('after-seal')) {
    const { position } = context.output<Sealed>(SEAL_REPLICA);
    facts.POSITION = position?.sequence;
    facts.POSITION_TIME = position && isoTime(position.timeMs);
  }
  if (order >= SCRIPT_MOMENTS.indexOf('after-build')) {
    const { publicIp, privateIp } = addressesOf(blueprint, context) ?? {};
    facts.VM_ID = context.output<MadeMachine>(CREATE_VIRTUAL_MACHINE).vmId;
    facts.PUBLIC_IP = publicIp;
    facts.PRIVATE_IP = privateIp;
  }
  const known = Object.entries(facts).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  );
  return Object.fromEntries(known);
}

import { StandbyError } from '../../src/errors.ts';
import type { Scenario, ScenarioNic, ScenarioStatus } from '../../src/model/scenario.ts';
import { actionsOf } from '../../src/ports/cloud-actions.ts';
import type { VerifyFacts } from '../../src/verify/check.ts';
import { LIST_PRICES } from '../../src/verify/prices.ts';
import type { ControlSession } from '../../src/wire/control-session.ts';
import { ENGINE_VERSION } from '../../src/wire/version.ts';
import { type FakeCloud, SUBSCRIPTION } from '../fakes/fake-cloud.ts';
import { appliance, inventory, NOW_MS, rightCloud, scenario } from '../fakes/scene.ts';

const clock = { now: () => NOW_MS, sleep: async () => undefined };

export const ACCOUNT = {
  name: 'ops@example.com',
  secretExpiresOn: '2031-01-01',
  subscriptionId: SUBSCRIPTION.split('/')[2] ?? '',
};
export const ACTIONS = actionsOf(
  'disks.createEmpty',
  'network.createNetworkInterface',
  'machines.attachDisks',
);

export function status(change: Partial<ScenarioStatus> = {}): ScenarioStatus {
  return {
    id: 'scenario-1',
    name: 'web',
    state: 'synchronised',
    sinceMs: NOW_MS,
    epoch: 1,
    synchronisedAtMs: NOW_MS - 3_600_000,
    digests: [{ diskId: 'disk0', digest: 'ab', sizeBytes: 1 }],
    ...change,
  };
}

export function facts(change: Partial<VerifyFacts> = {}, cloud: FakeCloud = rightCloud()): VerifyFacts {
  return {
    scenario: scenario(),
    inventory: inventory(),
    appliance: appliance(),
    cloud: cloud.cloud,
    account: ACCOUNT,
    otherScenarios: [],
    clock,
    moment: 'run',
    status: status(),
    actions: ACTIONS,
    prices: LIST_PRICES,
    ...change,
  };
}

export function withNic(change: Partial<ScenarioNic>): Scenario {
  const [first, ...others] = scenario().nics;
  if (!first) throw new Error('the scene has NICs');
  return scenario({ nics: [{ ...first, ...change }, ...others] });
}

export function withVm(change: Partial<Scenario['vm']>): Scenario {
  return scenario({ vm: { ...scenario().vm, ...change } });
}

export function sessionWith(connected: boolean | undefined): ControlSession {
  const masters = async () => (connected === undefined ? [] : [{ masterId: 'master-1', connected }]);
  return session({ masters });
}

export function session(change: Partial<ControlSession> = {}): ControlSession {
  const hello = {
    applianceId: 'appliance-1',
    engineVersion: ENGINE_VERSION,
    protocol: 1,
    clockDifferenceMs: 5,
  };
  const progress = async () => {
    throw new StandbyError({ code: 'REPLICA_UNKNOWN', what: 'No such replica.' });
  };
  const masters = async () => [{ masterId: 'master-1', connected: true, engineVersion: ENGINE_VERSION }];
  const readiness = async () => ({ verdict: 'ready', os: { family: 'linux', name: 'Linux' }, verdicts: [] });
  return { hello, progress, masters, readiness, ...change } as unknown as ControlSession;
}

export interface PlantedFault {
  readonly fault: string;
  readonly found: readonly string[];
  /** The appliance does not answer. */
  readonly silent?: boolean;
  given(): VerifyFacts;
}

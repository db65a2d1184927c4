import { afterEach, describe, expect, it } from 'vitest';
import { drillRemovePlan } from '../../src/switchover/drill.ts';
import { drillMarkdown } from '../../src/switchover/drill-text.ts';
import { decideInbound } from '../../src/verify/inbound.ts';
import { leakOf } from '../../src/verify/isolated.ts';
import type { Bench } from '../fakes/bench.ts';
import { NETWORK_ID, NSG_ID } from '../fakes/fake-cloud.ts';
import { scenario } from '../fakes/scene.ts';
import { asked, closeBenches, plan, RUN, ready, reportOf } from './drill-bench.ts';

afterEach(closeBenches);

/** Nothing leaves the subnet of the scene any more. */
function guard({ fake }: Bench): void {
  const all = { sourcePrefixes: ['*'], destinationPrefixes: ['*'], destinationPorts: ['*'], protocol: '*' };
  const rule = { name: 'nothing', priority: 100, direction: 'Outbound', access: 'Deny', ...all } as const;
  const group = { id: `${NSG_ID}-drills`, name: 'drills', location: 'japaneast', rules: [rule], tags: {} };
  fake.securityGroups.push(group);
  fake.networks = fake.networks.map((network) => ({
    ...network,
    subnets: network.subnets.map((subnet) => ({ ...subnet, securityGroupId: group.id })),
  }));
}

describe('the network of a drill', () => {
  it('has no public address, and every NIC has a security group that denies both directions', async () => {
    const on = await ready();
    await on.run(RUN, plan(on, { isKept: true }));
    const nics = [...on.fake.nics.values()];
    const [group] = on.fake.ownGroups.values();
    const [network] = on.fake.ownNetworks.values();
    expect(on.fake.publicIps.size).toBe(0);
    expect(nics.map((nic) => nic.securityGroupId)).toEqual([group?.id, group?.id]);
    for (const { subnetId } of nics) expect(subnetId).toBe(network?.subnets[0]?.id);
    expect(group?.rules.map(({ direction, access }) => `${direction} ${access}`)).toEqual([
      'Outbound Deny',
      'Inbound Deny',
    ]);
    expect([...on.fake.machines.values()].map((one) => one.name)).toContain(reportOf().vm?.name);
    expect(reportOf().vm?.name).not.toBe('web01');
  });

  it('asks the health check from where the scenario says, and lets in nothing else', async () => {
    const { port, close, scenario } = await asked();
    const on = await ready({ scenario });
    on.fake.serial = '';
    await on.run(RUN, plan(on, { isKept: true }));
    const [ip, ...more] = on.fake.publicIps.values();
    expect([more, ip?.tags['standby-role']]).toEqual([[], 'drill-public-ip']);
    expect([...on.fake.nics.values()].map((nic) => nic.publicIpId)).toEqual([ip?.id, undefined]);
    const [group] = on.fake.ownGroups.values();
    expect(leakOf(group)).toBeUndefined();
    const lets = (source: string, asks: number) =>
      decideInbound(group?.rules ?? [], {
        ...{
          source,
          destination: undefined,
          port: asks,
          protocol: 'Tcp',
          networkPrefixes: ['10.251.0.0/24'],
        },
      }).access;
    expect([lets('203.0.113.7', port), lets('203.0.113.7', 22)]).toEqual(['allow', 'deny']);
    expect([lets('203.0.113.8', port), lets('10.251.0.5', port), lets('*', 22)]).toEqual([
      'deny',
      'deny',
      'deny',
    ]);
    const admitted = { from: '203.0.113.7', ports: [port] };
    // The console was silent: it passed by the answer alone.
    expect(reportOf()).toMatchObject({ outcome: 'passed', admitted });
    expect(reportOf().network).toContain(
      `nothing leaves it, and only TCP ${port} from 203.0.113.7 enters it`,
    );
    expect(reportOf().cost.lines.map(({ what }) => what)).toContain('public address');
    const remove = drillRemovePlan(on.work(RUN), async () => undefined);
    await on.run('remove-1', remove);
    expect(on.fake.publicIps.size).toBe(0);
    await close();
    on.fake.serial = 'login:';
    await on.run('drill-2', plan(on, {}, 'drill-2'));
    expect(reportOf('drill-2')).toMatchObject({ outcome: 'failed', removal: { state: 'proven' } });
    expect(drillMarkdown(reportOf('drill-2'))).toContain(`TCP port ${port}: 127.0.0.1:${port} refuses`);
  });

  it('has no public address when there is no health check to ask, whoever may', async () => {
    const on = await ready({ scenario: scenario({ drill: { askFrom: '203.0.113.7' } }) });
    await on.run(RUN, plan(on));
    expect(on.fake.made.filter((id) => id.includes('/publicIPAddresses/'))).toEqual([]);
    expect(reportOf().network).toContain('nothing enters it');
  });

  it('uses the subnet for drills when the scenario names one, and makes no network', async () => {
    const drill = { virtualNetworkId: NETWORK_ID, subnetName: 'servers' };
    const on = await ready({ scenario: scenario({ drill }) });
    guard(on);
    await on.run(RUN, plan(on, { isKept: true }));
    expect(on.fake.ownNetworks.size + on.fake.ownGroups.size).toBe(0);
    for (const nic of on.fake.nics.values()) expect(nic.subnetId).toBe(`${NETWORK_ID}/subnets/servers`);
    expect(reportOf().network).toBe('the subnet for drills: no rule lets anything leave it');
  });

  it('starts nothing in a subnet for drills that something leaves, and says what', async () => {
    const drill = { virtualNetworkId: NETWORK_ID, subnetName: 'servers' };
    const on = await ready({ scenario: scenario({ drill }) });
    const made = [...on.fake.made];
    await on.run(RUN, plan(on));
    expect(reportOf()).toMatchObject({ outcome: 'failed', failure: { code: 'DRILL_NOT_ISOLATED' } });
    expect(on.fake.made).toEqual(made);
  });
});

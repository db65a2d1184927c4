import { describe, expect, it } from 'vitest';
import { scenarioWizard } from '../../wizards/scenario.ts';
import { ANSWERS, scenarioWorld } from './scenario-world.ts';

describe('The address of a NIC that nobody names', () => {
  async function addressesOf(addresses: readonly string[], taken: readonly string[] = []) {
    const nics = [
      { id: 'nic0', name: 'eth0', addresses: [...addresses] },
      { id: 'nic1', name: 'eth1', addresses: ['192.168.9.10'] },
    ];
    const own = await scenarioWorld({ nics });
    own.cloud.takenAddresses = [...taken];
    const { address: _, ...answers } = ANSWERS;
    try {
      const { scenario } = await scenarioWizard(own.context, { preset: answers, yes: true });
      return scenario.nics.map(({ address }) => address);
    } finally {
      await own.close();
    }
  }

  it('is the one it has now where the subnet holds it, and else one from Azure', async () => {
    const dynamic = { kind: 'dynamic' };
    const kept = { kind: 'static', ip: '10.0.1.30' };
    expect(await addressesOf(['fe80::1', '10.0.1.30'])).toEqual([kept, dynamic]);
    expect(await addressesOf(['10.0.1.30'], ['10.0.1.30'])).toEqual([dynamic, dynamic]);
    expect(await addressesOf(['10.0.1.2'])).toEqual([dynamic, dynamic]);
    expect(await addressesOf(['172.16.0.9'])).toEqual([dynamic, dynamic]);
  });
});

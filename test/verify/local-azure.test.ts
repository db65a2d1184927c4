import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { clientSecret } from '../../src/verify/checks/client-secret.ts';
import { verifyScenario } from '../../src/verify/verify.ts';
import { LOCAL_FAULTS, lookedAt } from './local-faults.ts';
import { type LocalWorld, startLocalWorld } from './local-world.ts';

/** Every check that asks Azure, through the real SDKs: what it makes of Azure's own documents. */
let world: LocalWorld;
beforeAll(async () => {
  world = await startLocalWorld();
}, 180_000);
afterAll(() => world?.stop());
afterEach(() => {
  const nobody = { roleAssignments: [], denyAssignments: [], locks: [], policyAssignments: [] };
  const permissions = { actions: ['*'], notActions: [] };
  world.local.azure.settings.change({ ...nobody, permissions, quotas: {} });
});

describe('a fault planted in Local Azure', () => {
  it.each(LOCAL_FAULTS)('$fault: $found', async (planted) => {
    const { found, settings, plant } = planted;
    if (settings) world.local.azure.settings.change(settings(world));
    const takeAway = await plant?.(world);
    try {
      const verdicts = await verifyScenario(lookedAt(world, planted));
      const wrong = verdicts.filter((one) => one.status === 'error' || one.status === 'warning');
      expect(wrong.map((one) => `${one.status} ${one.code}: ${one.found}`)).toEqual(
        found.map((code) => expect.stringMatching(`^${code}: `)),
      );
    } finally {
      await takeAway?.();
    }
  });

  it('a client secret that is not the application’s', async () => {
    const cloud = await world.local.cloud({ clientSecret: 'guessed' });
    const verdicts = await verifyScenario(world.facts({ cloud }), [clientSecret]);
    expect(verdicts).toMatchObject([{ status: 'error', code: 'SECRET_REFUSED' }]);
  });
});

import { describe, expect, it } from 'vitest';
import { StandbyError } from '../../src/errors.ts';
import { GIB } from '../../src/model/disk.ts';
import type { Verdict } from '../../src/model/verdict.ts';
import { watchedCloud } from '../../src/ports/cloud-actions.ts';
import { operationChecklist } from '../../src/switchover/words.ts';
import type { Check, VerifyFacts } from '../../src/verify/check.ts';
import { CHECKS } from '../../src/verify/index.ts';
import { refuseErrors, verifyScenario } from '../../src/verify/verify.ts';
import { inventory, masterDisk, rightCloud, scenario } from '../fakes/scene.ts';
import { faultsOfCapacity } from './faults-of-capacity.ts';
import { faultsOfIdentity } from './faults-of-identity.ts';
import { faultsOfDrills, faultsOfNetwork } from './faults-of-network.ts';
import { faultsOfRedirect } from './faults-of-redirect.ts';
import { faultsOfReplica } from './faults-of-replica.ts';
import { facts, session, sessionWith, withNic, withVm } from './planted-facts.ts';
import { faults } from './planted-faults.ts';

/** What a scenario at rest, without a ladder, a redirection or a health check, has nothing to be looked at for. */
const NOTHING_THERE = [
  ...['LADDER_NONE', 'PORTS_NOT_NAMED', 'DRILL_NONE', 'REDIRECT_NONE'],
  ...['SPACE_UNKNOWN', 'SPEED_UNKNOWN', 'BOOKMARKS_UNKNOWN', 'READINESS_NONE'],
  ...['REACH_UNKNOWN', 'ENGINE_NOT_ASKED'],
];

async function codes(given: VerifyFacts): Promise<string[]> {
  return (await verifyScenario(given))
    .filter((one) => one.status !== 'ok' && !(one.status === 'skipped' && NOTHING_THERE.includes(one.code)))
    .map((one) => `${one.status} ${one.code}`);
}

const nowhereNic = {
  masterNicId: 'nic0',
  virtualNetworkId: '/nowhere',
  subnetName: 'servers',
  address: { kind: 'dynamic' },
  publicIp: false,
} as const;

const ALL_FAULTS = [
  ...faults,
  ...faultsOfIdentity,
  ...faultsOfCapacity,
  ...faultsOfNetwork,
  ...faultsOfDrills,
  ...faultsOfReplica,
  ...faultsOfRedirect,
];

describe('a scenario in which everything is right', () => {
  it('gets only ok from every check that has something to look at, in the order of the list', async () => {
    const verdicts = await verifyScenario(facts({ session: sessionWith(true), moment: 'watch' }));
    expect(verdicts.filter((one) => one.status !== 'ok').map((one) => one.code)).toEqual([
      ...['LADDER_NONE', 'PORTS_NOT_NAMED', 'SPACE_UNKNOWN', 'SPEED_UNKNOWN', 'BOOKMARKS_UNKNOWN'],
      ...['READINESS_NONE', 'DRILL_NONE', 'REDIRECT_NONE'],
    ]);
    const titles = [...new Set(verdicts.map((one) => one.title))];
    expect(titles).toEqual(CHECKS.map((check) => check.title));
  });

  it('is still right when it stands in the list of scenarios itself', async () => {
    expect(await codes(facts({ otherScenarios: [scenario()], session: sessionWith(true) }))).toEqual([]);
  });

  it('is not held up at switchover by a master and an appliance that are gone', async () => {
    const old = inventory({ takenAtMs: 0 });
    const cloud = rightCloud();
    cloud.machines.clear();
    expect(await codes(facts({ inventory: old, moment: 'switchover' }, cloud))).toEqual([]);
  });
});

describe('a planted fault', () => {
  it.each(ALL_FAULTS)('$fault is found, and nothing else', async ({ given, found, silent }) => {
    const session = given().session ?? (silent ? undefined : sessionWith(true));
    expect(await codes({ ...given(), ...(session ? { session } : {}) })).toEqual(found);
  });

  it('says with every error what was expected and what to do', async () => {
    for (const { given } of ALL_FAULTS) {
      for (const verdict of await verifyScenario(given())) {
        if (verdict.status !== 'error' && verdict.status !== 'warning') continue;
        expect(verdict).toMatchObject({ expected: expect.any(String), next: expect.stringMatching(/\S/) });
      }
    }
  });

  it('is planted for every code that a check can find, and no check finds another', async () => {
    const found = new Set<string>();
    for (const { given } of ALL_FAULTS) {
      for (const one of await verifyScenario(given())) if (one.status !== 'ok') found.add(one.code);
    }
    const blind = facts({
      inventory: undefined,
      appliance: undefined,
      account: undefined,
      prices: undefined,
    });
    const nowhere = { ...blind, scenario: withNic({ virtualNetworkId: '/nowhere' }), status: undefined };
    const open = { ...facts({ moment: 'watch' }), status: undefined };
    const known = { ...nowhere, scenario: scenario({ nics: [{ ...nowhereNic }] }) };
    for (const one of [blind, nowhere, open, known].map((each) =>
      verifyScenario({ ...each, moment: 'watch' }),
    )) {
      for (const verdict of await one) if (verdict.status !== 'ok') found.add(verdict.code);
    }
    found.delete('CHECK_COULD_NOT_RUN');
    const explained = CHECKS.flatMap((check) => Object.keys(check.codes));
    expect([...found].sort()).toEqual([...new Set(explained)].sort());
  });

  it('is found too where master and appliance are not known at all', async () => {
    const found = await codes(facts({ inventory: undefined, appliance: undefined }));
    expect(found).toContain('error MASTER_UNKNOWN');
    expect(found).toContain('error APPLIANCE_UNKNOWN');
  });
});

describe('a master that connects in this moment', () => {
  it('is waited for', async () => {
    let looks = 0;
    const masters = async () => [{ masterId: 'master-1', connected: ++looks > 3 }];
    expect(await codes(facts({ session: session({ masters }) }))).toEqual([]);
    expect(looks).toBeGreaterThanOrEqual(4);
  });
});

describe('a check that cannot look', () => {
  const broken = (code: string): Check => ({
    id: 'broken',
    title: 'Broken',
    group: 'Master',
    uses: [],
    codes: {},
    run: async () => {
      throw new StandbyError({ code, what: 'No answer.' });
    },
  });

  it('is an error before a run, and skipped at switchover or without permission', async () => {
    const statusOf = async (code: string, moment: VerifyFacts['moment']) =>
      (await verifyScenario(facts({ moment }), [broken(code)])).map(
        (one: Verdict) => `${one.status} ${one.code}`,
      );
    expect(await statusOf('CLOUD_UNREACHABLE', 'run')).toEqual(['error CHECK_COULD_NOT_RUN']);
    expect(await statusOf('CLOUD_UNREACHABLE', 'switchover')).toEqual(['skipped CHECK_COULD_NOT_RUN']);
    expect(await statusOf('AuthorizationFailed', 'run')).toEqual(['skipped CHECK_COULD_NOT_RUN']);
  });
});

describe('what a check asks of the cloud', () => {
  it('is what it declares, no more and no less', async () => {
    const used = new Map(CHECKS.map((check) => [check.id, new Set<string>()]));
    for (const { given } of ALL_FAULTS) {
      for (const check of CHECKS) {
        const cloud = watchedCloud(given().cloud, (verb) => used.get(check.id)?.add(verb));
        await verifyScenario({ ...given(), cloud }, [check]);
      }
    }
    const asked = CHECKS.map((check) => [check.id, [...(used.get(check.id) ?? [])].sort()]);
    expect(asked).toEqual(CHECKS.map((check) => [check.id, [...check.uses].sort()]));
  });
});

describe('what the verdicts decide', () => {
  it('errors refuse with kind checks; warnings alone do not', async () => {
    const verdicts = await verifyScenario(facts({ scenario: withVm({ name: 'web.01' }) }));
    expect(() => refuseErrors(verdicts, scenario())).toThrow(expect.objectContaining({ kind: 'checks' }));
    const warned = await verifyScenario(facts({ session: sessionWith(false) }));
    expect(() => refuseErrors(warned, scenario())).not.toThrow();
  });

  it('the region is asked once for what several checks need', async () => {
    const cloud = rightCloud();
    let asked = 0;
    const sizes = async () => {
      asked++;
      return cloud.sizes;
    };
    const catalogue = { ...cloud.cloud.catalogue, sizes };
    await verifyScenario(facts({ cloud: { ...cloud.cloud, catalogue } }));
    expect(asked).toBe(1);
  });
});

describe('a GPT disk that is not a whole number of GiB', () => {
  it('is right, and people are told where its backup header will be', async () => {
    const disks = [masterDisk('disk0', { partitionTable: 'gpt', sizeBytes: 2 * GIB - 512 })];
    const verdicts = await verifyScenario(facts({ inventory: inventory({ disks }) }));
    const note = verdicts.find((one) => one.code === 'GPT_BACKUP_NOT_AT_END');
    expect(note).toMatchObject({ status: 'ok', found: expect.stringContaining('2 GiB') });
    expect(operationChecklist(inventory({ disks }), undefined).join()).toContain('sgdisk -e');
    expect(operationChecklist(inventory(), undefined).join()).not.toContain('sgdisk');
  });
});

import { afterEach, describe, expect, it } from 'vitest';
import { openStore } from '../../src/control/store/open-store.ts';
import { memberScenario } from '../control/group-world.ts';
import { CommandLine } from './shell-fixture.ts';

/** Definitions and refusals through the command line; what a group does is in test/control/group.test.ts. */
const lines: CommandLine[] = [];
afterEach(() => {
  for (const line of lines.splice(0)) line.remove();
});

async function typing(): Promise<(...args: string[]) => ReturnType<CommandLine['type']>> {
  const line = new CommandLine();
  lines.push(line);
  const store = await openStore(`${line.home}/standby.db`);
  for (const name of ['db', 'web1', 'web2']) await store.scenarios.insert(memberScenario(name));
  await store.close();
  return (...args) => line.type(['group', ...args]);
}

describe('standby group', () => {
  it('makes, shows, changes, exports and forgets a group', async () => {
    const type = await typing();
    const made = await type(
      ...['create', 'shop', '--wave', 'db', '--wave', 'web1,web2', '--delay', '1=30', '--pause', '1=Look'],
      ...['--fallback-sizes', 'Standard_B2s', '--health-check', 'http:80/live=204'],
      ...['--drill-schedule', 'weekly sun 03:00', '--json'],
    );
    expect(made).toMatchObject({ exitCode: 0 });
    expect(made.documents[0]?.names).toEqual({
      standbyGroup: 1,
      name: 'shop',
      waves: [{ scenarios: ['db'], delaySeconds: 30, pause: 'Look' }, { scenarios: ['web1', 'web2'] }],
      common: {
        fallbackSizes: ['Standard_B2s'],
        healthChecks: [{ kind: 'http', port: 80, path: '/live', expectStatus: 204 }],
        drillSchedule: 'weekly sun 03:00',
      },
    });
    const shown = await type('show', 'shop');
    expect(shown.out).toMatch(/db +Standard_D2s_v5 > Standard_B2s +http 80 +weekly sun 03:00/);
    const edited = await type(
      ...[
        'edit',
        'shop',
        '--pause',
        '1=',
        '--health-check',
        'none',
        '--drill-schedule',
        'none',
        '--parallel',
        '3',
        '--json',
      ],
    );
    expect(edited.documents[0]?.names).toMatchObject({
      waves: [{ scenarios: ['db'], delaySeconds: 30 }, { scenarios: ['web1', 'web2'] }],
      common: { fallbackSizes: ['Standard_B2s'] },
      parallel: 3,
    });
    expect(JSON.stringify(edited.documents[0]?.names)).not.toContain('Look');
    expect((await type('export', 'shop')).out).toContain('- web1\n');
    expect((await type('list', '--json')).documents[0]?.groups).toHaveLength(1);
    expect(await type('remove', 'shop')).toMatchObject({ exitCode: 0 });
    expect((await type('list', '--json')).documents[0]).toEqual({ groups: [] });
  });

  it.each([
    [['create', 'shop'], 'WAVE_MISSING'],
    [['create', 'shop', '--wave', 'db', '--delay', '2=5'], 'WAVE_WRONG'],
    [['create', 'shop', '--wave', 'db', '--pause', 'Look'], 'WAVE_WRONG'],
    [['create', 'shop', '--wave', 'db', '--health-check', 'ping'], 'HEALTH_CHECK_WRONG'],
    [['create', 'shop', '--wave', 'db', '--parallel', 'many'], 'GROUP_INVALID'],
    [['create', 'shop', '--wave', 'db', '--drill-schedule', 'sometimes'], 'GROUP_INVALID'],
    [['switchover', 'shop', '--yes'], 'GROUP_UNKNOWN'],
  ])('refuses %j and changes nothing', async (args, code) => {
    const type = await typing();
    const refused = await type(...args, '--json');
    expect(refused).toMatchObject({ exitCode: 2, documents: [{ error: { code } }] });
    expect((await type('list', '--json')).documents[0]).toEqual({ groups: [] });
  });

  it('switches nothing over that was never copied, and wants to be told the side', async () => {
    const type = await typing();
    await type('create', 'shop', '--wave', 'db');
    const refused = await type('switchover', 'shop', '--yes', '--json');
    expect(refused).toMatchObject({ exitCode: 2, documents: [{ error: { code: 'GROUP_NOT_READY' } }] });
    expect(await type('recover', 'shop', '--json')).toMatchObject({
      exitCode: 2,
      documents: [{ error: { code: 'SIDE_MISSING' } }],
    });
    expect(await type('resume', 'shop', '--json')).toMatchObject({ exitCode: 2 });
    const status = await type('status', 'shop', '--json');
    expect(status.documents[0]).toMatchObject({ state: 'masters', members: [{ side: 'nobody-known' }] });
    // Each is told, and one that fails does not hide the others.
    const run = await type('run', 'shop', '--json');
    expect(run).toMatchObject({ exitCode: 1, documents: [{ failed: ['db'] }] });
    const drill = await type('drill', 'shop', '--json');
    expect(drill).toMatchObject({ exitCode: 2, documents: [{ error: { code: 'ANSWER_MISSING' } }] });
  });
});

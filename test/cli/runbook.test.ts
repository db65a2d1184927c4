import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { runbook } from '../../src/switchover/runbook.ts';
import { inventory, scenario } from '../fakes/scene.ts';
import { CommandLine } from './shell-fixture.ts';

const facts = {
  inventory: inventory(),
  applianceName: 'web-appliance',
  accountName: 'ops@example.com',
  homeFolder: '/var/lib/standby-control',
};
const live = runbook({ ...facts, scenario: scenario({ capture: 'nbd' }) });
const whole = runbook({
  ...facts,
  inventory: inventory({ fence: true }),
  scenario: scenario({
    capture: 'nbd',
    redirect: { kind: 'azure-dns', resourceGroup: 'names', zone: 'example.com', name: 'www.example.com' },
    scripts: [
      { at: 'before-seal', command: ['/bin/true'], timeoutSeconds: 60 },
      { at: 'after-restore', events: ['FAILBACK'], command: ['/bin/true'], timeoutSeconds: 60 },
    ],
  }),
});
const atRest = runbook({ ...facts, scenario: scenario() });

/** What stands in the blocks: to be typed as it is. */
function commandsOf(markdown: string): string[] {
  return [...markdown.matchAll(/```\n([^`]*)```/g)].flatMap((block) => (block[1] ?? '').trim().split('\n'));
}

describe('The runbook', () => {
  it('is the page in docs', async () => {
    const [introduction = '', page] = (await readFile('docs/RUNBOOK.md', 'utf8')).split('\n---\n\n');
    expect(introduction).toContain('standby runbook SCENARIO');
    expect(page).toBe(live);
  });

  it('names the real things, and nothing that a copy at rest does not have', () => {
    const { vm, name } = scenario();
    for (const word of [
      vm.name,
      vm.size,
      vm.resourceGroup,
      name,
      facts.inventory.hostName,
      'web-appliance',
    ]) {
      expect(atRest).toContain(word);
    }
    expect(live).toContain('bookmarks');
    expect(atRest).not.toMatch(/bookmark|--to/i);
  });

  it('says how clients find the standby, and what to do when that, a script or the fence does not work', () => {
    expect(whole).toContain('www.example.com');
    for (const flag of ['--planned', '--master-is-down', '--no-redirect', '--no-scripts']) {
      expect(whole).toContain(flag);
      expect(live).not.toContain(flag);
    }
    expect(whole).toContain('standby failback web --finish --no-scripts');
  });

  it.each([...new Set([...commandsOf(live), ...commandsOf(whole)])])(
    'has a command that is one: %s',
    async (line) => {
      const line0 = new CommandLine();
      try {
        const [program, ...words] = line.split(' ');
        expect(program).toBe('standby');
        // The store of this test is empty, so that is as far as a right command comes; a wrong one is USAGE.
        const typed = await line0.type([...words, '--json', '--yes']);
        const [document] = typed.documents;
        const code = (document?.error as { code?: string } | undefined)?.code;
        expect(code, typed.out).toBe('SCENARIO_UNKNOWN');
      } finally {
        line0.remove();
      }
    },
  );
});

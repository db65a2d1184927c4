import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LiveRegistry, numberIn, regExe } from '../../src/master/windows/registry.ts';

/**
 * `standby master prepare` on the registry that Wine has, through the reg.exe that Wine has. The folder of its command line
 * goes with all of Wine's: its log is open until the process ends, and Windows removes no folder with open files.
 */
const SYSTEM_ROOT = 'C:\\windows';
const SET = 'HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet001';
const RIGHTS = 'HKEY_USERS\\S-1-5-19';
const RECORD = join(SYSTEM_ROOT, 'Standby', 'prepare.json');
const reg = regExe(SYSTEM_ROOT);

const VALUES = [
  ['Services\\storvsc', 'Start', 3, 0],
  ['Services\\storvsc\\StartOverride', '0', 3, 0],
  ['Services\\vmbus', 'Start', 0, 0],
  ['Services\\storflt', 'Start', 0, 0],
  ['Services\\Dhcp', 'Start', 4, 2],
  ['Services\\partmgr\\Parameters', 'SanPolicy', 2, 1],
  ['Control', 'PEFirmwareType', 2, 2],
] as const;

async function regMust(...args: string[]): Promise<void> {
  equal((await reg(args)).code, 0, args.join(' '));
}

async function makeMaster(): Promise<void> {
  for (const [key, name, before] of VALUES)
    await regMust('add', `${SET}\\${key}`, '/v', name, '/t', 'REG_DWORD', '/d', `${before}`, '/f');
  for (const file of ['storvsc.sys', 'vmbus.sys', 'vmstorfl.sys']) {
    const path = join(SYSTEM_ROOT, 'System32', 'drivers', file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, 'MZ');
  }
}

async function numbers(): Promise<unknown[]> {
  const registry = new LiveRegistry(reg);
  const found: unknown[] = [];
  for (const [key, name] of VALUES) found.push(numberIn(await registry.key(`${SET}\\${key}`), name));
  return found;
}

const BEFORE = VALUES.map(([, , before]) => before);
const AFTER = VALUES.map(([, , , after]) => after);

export async function prepareCase(): Promise<void> {
  const { CommandLine } = await import('../cli/shell-fixture.ts');
  const line = new CommandLine();
  const type = (...more: string[]) => line.type(['master', 'prepare', ...more]);
  try {
    await makeMaster();
    await reg(['delete', RIGHTS, '/f']);
    const refused = await type('--yes');
    deepEqual([refused.exitCode, await numbers()], [2, BEFORE]);
    match(refused.err, /administrators only/);
    await regMust('add', RIGHTS, '/f');

    const asked = await type();
    deepEqual([asked.exitCode, await numbers(), existsSync(RECORD)], [2, BEFORE, false]);
    match(asked.out, /storvsc: Start/);

    const made = await type('--yes', '--json');
    deepEqual([made.exitCode, await numbers()], [0, AFTER], made.err);
    const { changes } = made.documents[0] as { changes: { path: string; how: string }[] };
    deepEqual(
      changes.map(({ path, how }) => `${path} ${how}`),
      [
        'HKLM\\SYSTEM\\ControlSet001\\Services\\storvsc: Start changed',
        'HKLM\\SYSTEM\\ControlSet001\\Services\\storvsc\\StartOverride: 0 changed',
        'HKLM\\SYSTEM\\ControlSet001\\Services\\Dhcp: Start changed',
        'HKLM\\SYSTEM\\ControlSet001\\Services\\partmgr\\Parameters: SanPolicy changed',
      ],
    );
    deepEqual((await type('--yes', '--json')).documents, [{ changes: [], left: [], commands: [] }]);

    await regMust('add', `${SET}\\Services\\Dhcp`, '/v', 'Start', '/t', 'REG_DWORD', '/d', '3', '/f');
    const undone = await type('--undo', '--yes');
    equal(undone.exitCode, 0, undone.err);
    match(undone.err + undone.out, /Dhcp: Start was changed by somebody else/);
    deepEqual(await numbers(), [...BEFORE.slice(0, 4), 3, ...BEFORE.slice(5)]);
    equal(existsSync(RECORD), false);
  } finally {
    await removeMaster();
  }
}

export async function killedPrepareCase(): Promise<void> {
  const { CommandLine } = await import('../cli/shell-fixture.ts');
  const line = new CommandLine();
  try {
    await regMust('add', RIGHTS, '/f');
    for (const goesBack of [true, false]) {
      await makeMaster();
      await killedAt(2);
      const torn = await numbers();
      deepEqual(torn, [...AFTER.slice(0, 2), ...BEFORE.slice(2)]);
      ok(existsSync(RECORD));
      if (!goesBack) {
        equal((await line.type(['master', 'prepare', '--yes'])).exitCode, 0);
        deepEqual(await numbers(), AFTER);
      }
      equal((await line.type(['master', 'prepare', '--undo', '--yes'])).exitCode, 0);
      deepEqual([await numbers(), existsSync(RECORD)], [BEFORE, false]);
    }
  } finally {
    await removeMaster();
  }
}

/** A process of its own, ended by force before its nth write. */
async function killedAt(writes: number): Promise<void> {
  const from = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const program = `
import { prepareWindows, proposeForWindows } from ${from('../../src/master/prepare-windows.ts')};
import { regExe } from ${from('../../src/master/windows/registry.ts')};
import { silentLog } from ${from('../../src/log.ts')};
const systemRoot = ${JSON.stringify(SYSTEM_ROOT)};
const run = regExe(systemRoot);
let made = 0;
const reg = (args) => {
  if (args[0] !== 'query' && made++ === ${writes}) process.kill(process.pid, 'SIGKILL');
  return run(args);
};
const options = { reg, systemRoot, log: silentLog };
await prepareWindows(options, await proposeForWindows(options));
`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'ignore' });
  const code = await new Promise((fulfil, reject) => {
    child.once('error', reject);
    child.once('exit', (status, signal) => fulfil(signal ?? status));
  });
  ok(code !== 0, 'it was to be killed');
}

async function removeMaster(): Promise<void> {
  await reg(['delete', SET, '/f']);
  await reg(['delete', RIGHTS, '/f']);
}

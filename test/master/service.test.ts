import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { turningFile } from '../../src/cli/turning-file.ts';
import {
  installScript,
  scheduledTask,
  taskStateOf,
  taskXml,
} from '../../src/master/service/scheduled-task.ts';
import type { ServiceSpec } from '../../src/master/service/service.ts';
import { stateOf, systemd, systemdUnit, UNIT } from '../../src/master/service/systemd.ts';
import { CommandLine } from '../cli/shell-fixture.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-service-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const ODD = ['50%', '$HOME', 'a b', 'say "yes"', 'C:\\ends\\', '<&>', "it's"];
const linuxSpec = (): ServiceSpec => ({
  node: process.execPath,
  program: '/opt/standby/bin/standby.cjs',
  engineArguments: ['--state', '/var/lib/standby/master', ...ODD],
  stateFolder: '/var/lib/standby/master',
});
const windowsSpec: ServiceSpec = {
  node: 'C:\\Program Files\\Standby\\node.exe',
  program: 'C:\\Program Files\\Standby\\bin\\standby.cjs',
  engineArguments: ['--state', 'C:\\ProgramData\\Standby\\master', ...ODD],
  stateFolder: 'C:\\ProgramData\\Standby\\master',
};

describe('The unit of systemd', () => {
  it('is one that systemd understands, and runs exactly the words of the engine', () => {
    const path = join(folder, UNIT);
    writeFileSync(path, systemdUnit({ ...linuxSpec(), stateFolder: folder }));
    expect(readFileSync(path, 'utf8')).toContain('"50%%" "$$HOME" "a b" "say \\"yes\\"" "C:\\\\ends\\\\"');
    if (existsSync('/usr/bin/systemd-analyze')) {
      const { status, stderr } = spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' });
      expect([status, stderr.includes(UNIT) ? stderr : '']).toEqual([0, '']);
    }
  });

  it('holds nothing that keeps the engine from raw disks, tracefs or a fence', () => {
    const unit = systemdUnit(linuxSpec());
    for (const line of [
      'PrivateDevices',
      'DevicePolicy',
      'ProtectKernel',
      'ProtectSystem',
      'PrivateTmp',
      'ProtectClock',
      'MemoryDeny',
    ]) {
      expect(unit).not.toContain(line);
    }
    expect(unit).toContain('Restart=always');
  });

  it('is refused with a line break in it', () => {
    const spec = { ...linuxSpec(), engineArguments: ['x\nExecStartPre=/bin/evil'] };
    expect(() => systemdUnit(spec)).toThrow('line break');
  });

  it('is written, started, updated and taken away again', async () => {
    const said = join(folder, 'said');
    const systemctl = join(folder, 'systemctl');
    const unit = join(folder, UNIT);
    writeFileSync(
      systemctl,
      `#!/bin/sh\necho "$*" >> ${said}\nif [ "$1" = show ]; then if [ -e ${unit} ]; then printf 'LoadState=loaded\\nUnitFileState=enabled\\nActiveState=active\\nSubState=running\\nNRestarts=2\\n'; else echo LoadState=not-found; fi; fi\n`,
    );
    chmodSync(systemctl, 0o755);
    const service = systemd({ unitFolder: folder, systemctl });
    expect((await service.status()).state).toBe('absent');
    expect(await service.install(linuxSpec())).toMatchObject({
      state: 'running',
      detail: 'active (running), started anew 2 times',
    });
    expect(readFileSync(unit, 'utf8')).toBe(systemdUnit(linuxSpec()));
    const acts = () =>
      readFileSync(said, 'utf8')
        .split('\n')
        .filter((line) => line && !line.startsWith('show'));
    expect(acts()).toEqual(['daemon-reload', `enable ${UNIT}`, `restart ${UNIT}`]);
    expect((await service.uninstall()).state).toBe('absent');
    expect(acts().slice(3)).toEqual([`disable --now ${UNIT}`, 'daemon-reload']);
    expect(existsSync(unit)).toBe(false);
  });

  it('says what to do without systemd, and without the right to write', async () => {
    await expect(systemd({ systemctl: join(folder, 'none') }).status()).rejects.toMatchObject({
      code: 'SYSTEMD_MISSING',
    });
    const service = systemd({ unitFolder: join(folder, 'none') });
    await expect(service.install(linuxSpec())).rejects.toMatchObject({
      code: 'SERVICE_NOT_WRITTEN',
      kind: 'input',
    });
  });

  it.each([
    ['LoadState=loaded\nUnitFileState=disabled\nActiveState=inactive\nSubState=dead', 'disabled'],
    ['LoadState=loaded\nUnitFileState=enabled\nActiveState=failed\nSubState=failed', 'stopped'],
    ['LoadState=loaded\nUnitFileState=enabled\nActiveState=activating\nSubState=auto-restart', 'starting'],
  ])('tells its state: %s', (said, state) => expect(stateOf(said).state).toBe(state));
});

/** How Windows' own runtime takes a command line apart, by Microsoft's description. */
function windowsWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let isQuoted = false;
  for (let at = 0; at < line.length; at++) {
    const slashes = /^\\*/.exec(line.slice(at))?.[0].length ?? 0;
    const isBeforeQuote = line[at + slashes] === '"';
    if (slashes > 0) {
      word = (word ?? '') + '\\'.repeat(isBeforeQuote ? Math.floor(slashes / 2) : slashes);
      at += slashes;
      if (isBeforeQuote && slashes % 2 === 1) {
        word += '"';
        continue;
      }
    }
    const sign = line[at];
    if (sign === '"') {
      isQuoted = !isQuoted;
      word ??= '';
    } else if (sign === ' ' && !isQuoted) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (sign !== undefined) word = (word ?? '') + sign;
  }
  return word === undefined ? words : [...words, word];
}

const unescaped = (text: string) =>
  text.replace(
    /&(lt|gt|quot|apos|amp);/g,
    (_, name: string) => ({ lt: '<', gt: '>', quot: '"', apos: "'" })[name] ?? '&',
  );
const element = (document: string, name: string) =>
  unescaped(new RegExp(`<${name}>([^<]*)</${name}>`).exec(document)?.[1] ?? '');

describe('The scheduled task of Windows', () => {
  it('runs as SYSTEM from boot, is triggered each minute, and gets exactly the words of the engine', () => {
    const document = taskXml(windowsSpec);
    expect(windowsWords(element(document, 'Command'))).toEqual([windowsSpec.node]);
    expect(windowsWords(element(document, 'Arguments'))).toEqual([
      windowsSpec.program,
      'engine',
      'master',
      ...windowsSpec.engineArguments,
    ]);
    expect(element(document, 'UserId')).toBe('S-1-5-18');
    expect(element(document, 'Interval')).toBe('PT1M');
    expect(element(document, 'MultipleInstancesPolicy')).toBe('IgnoreNew');
    expect(element(document, 'ExecutionTimeLimit')).toBe('PT0S');
    expect(document).toContain('<BootTrigger>');
  });

  it('has its elements closed in order', () => {
    const open: string[] = [];
    for (const [, slash, name] of taskXml(windowsSpec).matchAll(/<(\/?)([A-Z][A-Za-z]*)[^>]*>/g)) {
      if (slash) expect(open.pop()).toBe(name);
      else open.push(name ?? '');
    }
    expect(open).toEqual([]);
  });

  it('is installed by a script that closes the state folder, changes no firewall, and ends what runs first', () => {
    const script = installScript(windowsSpec);
    expect(script).toContain("icacls.exe\" 'C:\\ProgramData\\Standby\\master' /inheritance:r");
    expect(script).toContain("'*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F'");
    expect(script.indexOf('Stop-ScheduledTask')).toBeLessThan(script.indexOf('Register-ScheduledTask'));
    expect(script).not.toMatch(/firewall|netsh/i);
    // What stands between the marks is taken as it is.
    expect(script.match(/^'@$/gm)).toHaveLength(1);
  });

  it('does not run as SYSTEM what users may replace', () => {
    for (const place of ['C:\\Users\\ops\\standby\\bin\\standby.cjs', 'c:\\TEMP\\standby.cjs']) {
      expect(() => installScript({ ...windowsSpec, program: place })).toThrow('others than administrators');
    }
  });

  it('tells its state as Windows does', async () => {
    expect(taskStateOf({ task: { state: 4, enabled: true, lastResult: 267009 } })).toMatchObject({
      state: 'running',
      detail: 'its last result was 0x41301',
    });
    expect(taskStateOf({ task: { state: 3, enabled: true, lastResult: -1073741510 } })).toMatchObject({
      state: 'stopped',
      detail: 'its last result was 0xc000013a',
    });
    expect(taskStateOf({ task: { state: 1, enabled: false, lastResult: null } }).state).toBe('disabled');
    const asked: string[] = [];
    const tools = {
      diskshadow: async () => '',
      powershell: async (script: string) => {
        asked.push(script);
        return { task: null };
      },
    };
    expect((await scheduledTask(tools).install(windowsSpec)).state).toBe('absent');
    expect((await scheduledTask(tools).uninstall()).state).toBe('absent');
    expect(asked.map((script) => /Register-S|Unregister|TaskInfo/.exec(script)?.[0])).toEqual([
      'Register-S',
      'TaskInfo',
      'Unregister',
      'TaskInfo',
    ]);
  });
});

describe('standby service install', () => {
  const line = new CommandLine();
  afterEach(() => line.remove());

  it('prints what it would do and changes nothing; without a certificate it does nothing', async () => {
    const { out } = await line.type([
      'service',
      'install',
      '--print',
      'linux',
      '--interval',
      '30',
      '--nbd',
      'x.sock',
    ]);
    expect(out).toContain(`"--nbd" "${join(process.cwd(), 'x.sock')}" "--interval" "30"`);
    const { documents } = await line.type(['service', 'install', '--print', 'windows', '--json']);
    expect(documents[0]?.definition).toContain('engine.log');
    expect(await line.type(['service', 'install'])).toMatchObject({ exitCode: 2, out: '' });
    expect((await line.type(['service', 'install', '--interval', 'soon'])).err).toContain('NUMBER_WRONG');
    expect((await line.type(['service', 'install', '--print', 'beos'])).err).toContain('SYSTEM_UNKNOWN');
  });
});

describe('The log of a service', () => {
  it('goes on in a new file when it is full, and keeps the one before', () => {
    const path = join(folder, 'logs', 'engine.log');
    const log = turningFile(path, 100);
    for (let index = 0; index < 30; index++) log.write(`${String(index).padStart(19, '0')}\n`);
    expect([statSync(path).size, statSync(`${path}.1`).size]).toEqual([100, 100]);
    expect(readFileSync(path, 'utf8')).toContain('29');
    turningFile(path, 100).write('one more line\n');
    expect(readFileSync(path, 'utf8')).toBe('one more line\n');
  });
});

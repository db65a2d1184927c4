import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listenAddress } from '../../src/cli/engine.ts';
import { failureOf } from '../../src/cli/failure.ts';
import { withMenu } from '../../src/cli/menu.ts';
import { inputError, StandbyError } from '../../src/errors.ts';
import { partOfCloud } from '../control/make-context.ts';
import { CommandLine } from './shell-fixture.ts';

let line: CommandLine;
beforeEach(() => {
  line = new CommandLine();
});
afterEach(() => line.remove());

const GUIDS = ['1', '2', '3'].map((digit) => `${digit}0000000-0000-4000-8000-000000000000`);
const ACCOUNT = [
  ...['account', 'add', '--yes', '--name', 'ops@example.com'],
  ...['--subscription-id', `${GUIDS[0]}`, '--tenant-id', `${GUIDS[1]}`, '--application-id', `${GUIDS[2]}`],
];
const SECRET = 'q8Q~the-secret-value';

const goodCloud = partOfCloud({
  access: {
    signIn: async () => ({ expiresAtMs: 0 }),
    subscription: async () => ({ id: `${GUIDS[0]}`, name: 'Test', state: 'Enabled' }),
    permissions: async () => ({ actions: ['*'], notActions: [] }),
    providers: async () => [],
  },
});

describe('The command line', () => {
  it('lists every command of this version and none that does not exist', async () => {
    const { out, exitCode } = await line.type(['--help']);
    expect(exitCode).toBe(0);
    const commands = [...out.matchAll(/^ {2}([a-z][a-z-]+) .*$/gm)].map((match) => match[1]);
    expect(commands).toEqual(
      'account appliance master scenario run stop status switchover vm backup group failback restore restore-token drill runbook bookmark bookmarks scrub maintenance assess is-alive retention serve seed runs resume events inspect readiness engine service local demo'.split(
        ' ',
      ),
    );
  });

  it('refuses what it does not know, with exit code 2 and what to do', async () => {
    for (const args of [
      ['nonsense'],
      ['account', 'list', '--nonsense'],
      ['run'],
      ['account', 'list', 'more'],
    ]) {
      const { exitCode, out, err } = await line.type(args);
      expect([args, exitCode]).toEqual([args, 2]);
      expect(out).toBe('');
      expect(err).toMatch(/^Error: .+\n {2}Next: .+\n {2}Code: USAGE\n$/);
    }
  });

  it('opens the menu without a command, which needs a terminal', async () => {
    expect(await line.type([])).toMatchObject({ exitCode: 2, out: '' });
    expect(withMenu([])).toEqual(['menu']);
    expect(withMenu(['--home', '/somewhere'])).toEqual(['menu', '--home', '/somewhere']);
    expect(withMenu(['--help'])).toEqual(['--help']);
    expect(withMenu(['--home', '/somewhere', 'runs'])).toEqual(['--home', '/somewhere', 'runs']);
  });

  it('prints one document with --json and nothing else on standard output', async () => {
    for (const args of [
      'account list',
      'appliance list',
      'scenario list',
      'status',
      'runs',
      'events',
      'master list',
    ]) {
      const { exitCode, documents } = await line.type([...args.split(' '), '--json']);
      expect([args, exitCode, documents.length]).toEqual([args, 0, 1]);
    }
  });

  it('says of an empty list what to do about it', async () => {
    expect((await line.type(['account', 'list'])).out).toContain('standby account add');
    expect((await line.type(['scenario', 'list'])).out).toContain('standby scenario create');
    expect((await line.type(['status'])).out).toContain('standby scenario create');
  });

  it('prints an error as one document, and for people on standard error', async () => {
    const { exitCode, documents, err } = await line.type(['status', 'nothing', '--json']);
    expect(exitCode).toBe(2);
    expect(documents).toEqual([{ error: expect.objectContaining({ code: 'SCENARIO_UNKNOWN' }) }]);
    expect(err).toContain('There is no scenario nothing.');
    const usage = await line.type(['run', '--json']);
    expect(usage.documents).toEqual([{ error: expect.objectContaining({ code: 'USAGE' }) }]);
  });

  it('names all missing flags at once when nobody can be asked', async () => {
    const { exitCode, err } = await line.type(['account', 'add', '--name', 'ops@example.com']);
    expect(exitCode).toBe(2);
    for (const flag of [
      '--subscription-id',
      '--tenant-id',
      '--application-id',
      '--client-secret-stdin',
      '--yes',
    ]) {
      expect(err).toContain(flag);
    }
  });

  it('takes a secret from standard input or the environment, and shows it nowhere', async () => {
    line.parts = { cloud: async () => goodCloud };
    const piped = await line.type([...ACCOUNT, '--client-secret-stdin', '--json'], `${SECRET}\n`);
    expect(piped).toMatchObject({ exitCode: 0 });
    expect(piped.documents).toMatchObject([{ account: { name: 'ops@example.com' } }]);
    line.environment.STANDBY_CLIENT_SECRET = SECRET;
    const again = await line.type([...ACCOUNT, '--name', 'second@example.com']);
    expect(again.exitCode).toBe(0);
    expect(piped.out + piped.err + again.out + again.err).not.toContain(SECRET);
    expect(await line.type([...ACCOUNT, '--client-secret', SECRET])).toMatchObject({ exitCode: 2 });
  });

  it('reads answers from a file, with flags over them', async () => {
    line.parts = { cloud: async () => goodCloud };
    line.environment.STANDBY_CLIENT_SECRET = SECRET;
    const file = join(line.home, 'answers.yaml');
    const answers = [
      `subscriptionId: ${GUIDS[0]}`,
      `tenantId: ${GUIDS[1]}`,
      `applicationId: ${GUIDS[2]}`,
      'name: no mail',
    ];
    writeFileSync(file, answers.join('\n'));
    const typed = await line.type([
      'account',
      'add',
      '--yes',
      '--answers',
      file,
      '--name',
      'ops@example.com',
      '--json',
    ]);
    expect(typed.documents).toMatchObject([{ account: { name: 'ops@example.com', tenantId: GUIDS[1] } }]);
  });

  it('refuses an answers file with a secret or with what is not asked', async () => {
    const file = join(line.home, 'answers.json');
    writeFileSync(file, JSON.stringify({ clientSecret: SECRET }));
    const secret = await line.type(['account', 'add', '--answers', file]);
    expect(secret.err).toContain('SECRET_IN_FILE');
    expect(secret.err).not.toContain(SECRET);
    writeFileSync(file, JSON.stringify({ nmae: 'ops@example.com', tennant: 'x' }));
    expect((await line.type(['account', 'add', '--answers', file])).err).toMatch(/nmae, tennant/);
  });

  it('gives what Local Azure answers as its document', async () => {
    const calls: unknown[] = [];
    line.parts = {
      local: async ({ verb, options, args }) => {
        calls.push([verb, options.on, options.times, args]);
        return { verb };
      },
    };
    const typed = await line.type(['local', 'fault', 'add', '--on', 'a/b/write', '--times', '2', '--json']);
    expect(typed.documents).toEqual([{ verb: 'fault-add' }]);
    await line.type(['local', 'fault', 'clear', 'f1']);
    expect(calls).toEqual([
      ['fault-add', 'a/b/write', '2', []],
      ['fault-clear', undefined, undefined, ['f1']],
    ]);
  });
});

describe('An error', () => {
  it('has one exit code for each kind', () => {
    const kinds = ['failed', 'input', 'checks', 'interrupted', 'cancelled'] as const;
    const codes = kinds.map(
      (kind) => failureOf(new StandbyError({ code: 'X', what: 'It failed.', kind })).exitCode,
    );
    expect(codes).toEqual([1, 2, 3, 4, 130]);
    expect(failureOf(new DOMException('stop', 'AbortError')).exitCode).toBe(130);
  });

  it('says what failed, why, and what to do next', () => {
    const error = new StandbyError({ code: 'X', what: 'It failed.', why: 'Because.', next: 'Do that.' });
    expect(failureOf(error).lines).toEqual([
      'Error: It failed.',
      '  Why:  Because.',
      '  Next: Do that.',
      '  Code: X',
    ]);
  });

  it('shows no stack when it is a defect', () => {
    const failure = failureOf(new TypeError('x is not a function'));
    expect(failure.exitCode).toBe(1);
    expect(failure.lines.join('\n')).toContain('x is not a function');
    expect(JSON.stringify(failure)).not.toContain('.ts:');
  });
});

describe('Where an engine listens', () => {
  it('is an address and a port', () => {
    expect(listenAddress('0.0.0.0:25000')).toEqual({ host: '0.0.0.0', port: 25000 });
    expect(listenAddress('[::1]:0')).toEqual({ host: '::1', port: 0 });
    for (const text of ['25000', 'a:b', '0.0.0.0:70000', '']) {
      expect(() => listenAddress(text)).toThrow(
        inputError('LISTEN_ADDRESS_WRONG', '').constructor as ErrorConstructor,
      );
    }
  });
});

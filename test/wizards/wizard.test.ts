import { describe, expect, it } from 'vitest';
import { answerAlone } from '../../src/cli/plain-host.ts';
import type { Screen } from '../../src/control/screen.ts';
import { StandbyError } from '../../src/errors.ts';
import type { Question } from '../../src/model/question.ts';
import type { Host } from '../../src/ports/host.ts';
import { confirmScreen, gather, gatherAndAct, gatherConfirmed } from '../../wizards/wizard.ts';
import { BACK, scriptedHost, toldText } from './scripted-host.ts';

const screen = (name: string, more: Partial<Question> = {}, rest: Partial<Screen> = {}): Screen => ({
  name,
  question: () => ({ name, kind: 'text', message: name, ...more }),
  ...rest,
});

const three = [screen('one'), screen('two'), screen('three')];

const alone: Host = {
  interactive: false,
  signal: new AbortController().signal,
  tell: () => undefined,
  ask: (question) => answerAlone(question),
};

describe('A wizard on a terminal', () => {
  it('goes back to the screen before, and proposes there what was said', async () => {
    const host = scriptedHost(['a', 'b', BACK, 'B', 'c']);
    expect(await gather(host, three, {})).toEqual({ one: 'a', two: 'B', three: 'c' });
    expect(host.asked.map((question) => [question.name, question.default])).toEqual([
      ['one', undefined],
      ['two', undefined],
      ['three', undefined],
      ['two', 'b'],
      ['three', undefined],
    ]);
  });

  it('keeps what was said on a screen that was left with back and came again', async () => {
    const host = scriptedHost(['a', 'b', 'c', BACK, BACK, BACK, 'a', 'b', 'c', true]);
    const screens = [...three, confirmScreen({ message: 'Go on?', needs: [] })];
    const answers = await gatherConfirmed(host, screens, { preset: {}, yes: false });
    expect(answers).toMatchObject({ one: 'a', two: 'b', three: 'c' });
    expect(host.asked.slice(-4, -1).map((question) => question.default)).toEqual(['a', 'b', 'c']);
  });

  it('is left by going back on its first screen', async () => {
    await expect(gather(scriptedHost([BACK]), three, {})).rejects.toMatchObject({ kind: 'cancelled' });
  });

  it('goes back past what is not asked', async () => {
    const screens = [
      screen('one'),
      screen('two', {}, { when: (answers) => answers.one === 'x' }),
      screen('three'),
    ];
    const host = scriptedHost(['a', BACK, 'x', 'b', 'c']);
    expect(await gather(host, screens, {})).toEqual({ one: 'x', two: 'b', three: 'c' });
  });

  it('forgets the answer of a screen that is no longer asked', async () => {
    const screens = [
      screen('one'),
      screen('two', {}, { when: (answers) => answers.one === 'x' }),
      screen('three'),
    ];
    const host = scriptedHost(['x', 'b', BACK, BACK, 'a', 'c']);
    expect(await gather(host, screens, {})).toEqual({ one: 'a', three: 'c' });
  });

  it('does not ask what is answered already, and asks again what is answered wrongly', async () => {
    const validate = (value: unknown) => (value === 'bad' ? 'That is bad.' : undefined);
    const host = scriptedHost(['b', 'c']);
    const screens = [screen('one'), screen('two', { validate }), screen('three')];
    expect(await gather(host, screens, { one: 'a', two: 'bad' })).toEqual({ one: 'a', two: 'b', three: 'c' });
    expect(toldText(host.told)).toContain('That is bad.');
  });

  it('asks again when a look at the world says that an answer is wrong', async () => {
    const check = async (value: unknown) => (value === 'taken' ? 'That is taken.' : undefined);
    const host = scriptedHost(['taken', 'free']);
    expect(await gather(host, [screen('one', {}, { check })], {})).toEqual({ one: 'free' });
    expect(toldText(host.told)).toContain('That is taken.');
  });

  it('refuses a choice that is shown with a reason', async () => {
    const choices = [
      { value: 'small', label: 'Small', disabled: 'takes 2 disks' },
      { value: 'large', label: 'Large' },
    ];
    const host = scriptedHost(['small', 'large']);
    const size = screen('size', { kind: 'select', choices });
    expect(await gather(host, [size], {})).toEqual({ size: 'large' });
    expect(toldText(host.told)).toContain('takes 2 disks');
  });

  it('changes nothing when the last question is answered with no', async () => {
    const screens = [screen('one'), confirmScreen({ message: 'Go on?', needs: [] })];
    let acted = false;
    const gathered = gatherAndAct(
      scriptedHost(['a', false]),
      screens,
      { preset: {}, yes: false },
      async () => {
        acted = true;
      },
    );
    await expect(gathered).rejects.toMatchObject({ code: 'CANCELLED', kind: 'cancelled' });
    expect(acted).toBe(false);
  });

  it('loses nothing that was typed when the act fails', async () => {
    const screens = [screen('one'), screen('two'), confirmScreen({ message: 'Go on?', needs: [] })];
    const host = scriptedHost(['a', 'wrong', true, 'change', 'a', 'right', true]);
    const result = await gatherAndAct(host, screens, { preset: {}, yes: false }, async (answers) => {
      if (answers.two === 'wrong') throw new StandbyError({ code: 'X', what: 'It is wrong.' });
      return answers.two;
    });
    expect(result).toBe('right');
    expect(toldText(host.told)).toContain('It is wrong.');
    expect(host.asked.slice(4, 6).map((question) => question.default)).toEqual(['a', 'wrong']);
  });
});

describe('What stands before a question', () => {
  it('is read once, and again only before a confirmation, which sums up the answers', async () => {
    const screens = [
      screen('name', { before: 'Have ready ...' }),
      confirmScreen({ message: 'Go on?', needs: ['name'], summary: (answers) => `Name ${answers.name}` }),
    ];
    const host = scriptedHost(['a', BACK, 'b', true]);
    expect(await gather(host, screens, {})).toEqual({ name: 'b', yes: true });
    expect(host.asked.map((question) => question.before)).toEqual([
      'Have ready ...',
      'Name a',
      undefined,
      'Name b',
    ]);
  });
});

describe('A wizard without a terminal', () => {
  it('names every missing and every wrong answer in one error', async () => {
    const validate = (value: unknown) => (value === 'bad' ? 'That is bad.' : undefined);
    const screens = [
      screen('vmName'),
      screen('secret', { noFlag: { from: '--secret-stdin' } }),
      screen('third', { validate }),
      screen('proposed', { default: 'p' }),
      screen('free', { optional: true }),
      confirmScreen({ message: 'Go on?', needs: ['vmName'] }),
    ];
    const error = await gather(alone, screens, { third: 'bad' }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ANSWER_MISSING', kind: 'input' });
    const text = String(error);
    for (const part of ['--vm-name', '--secret-stdin', '--third: That is bad.', '--yes'])
      expect(text).toContain(part);
    for (const part of ['proposed', '--free']) expect(text).not.toContain(part);
  });

  it('does not look up what depends on a missing answer', async () => {
    const dependent: Screen = {
      name: 'subnet',
      needs: ['network'],
      question: () => {
        throw new Error('must not be asked');
      },
    };
    await expect(gather(alone, [screen('network'), dependent], {})).rejects.toMatchObject({
      code: 'ANSWER_MISSING',
    });
  });

  it('takes proposals, but none that cannot be chosen', async () => {
    const choices = [{ value: 'a', label: 'A', disabled: 'not here' }];
    const good = screen('good', { default: 'x' });
    expect(await gather(alone, [good], {})).toEqual({ good: 'x' });
    const impossible = screen('impossible', { kind: 'select', choices, default: 'a' });
    await expect(gather(alone, [impossible], {})).rejects.toThrow('--impossible');
  });

  it('refuses an answer to what does not apply', async () => {
    const never = screen('isAlivePing', {}, { when: () => false });
    await expect(gather(alone, [never], { isAlivePing: 'yes' })).rejects.toThrow('--is-alive-ping');
  });

  it('reads flags as the kinds of values that the questions want', async () => {
    const screens = [
      screen('port', { kind: 'number' }),
      screen('publicIp', { kind: 'confirm' }),
      screen('network', { kind: 'select', choices: [{ value: 'group/lan', label: 'lan (10.0.0.0/16)' }] }),
      screen('volumes', {
        kind: 'multiselect',
        choices: [
          { value: 'disk0/2', label: 'b' },
          { value: 'disk0/3', label: 'c' },
        ],
      }),
    ];
    const answers = await gather(alone, screens, {
      port: '80',
      publicIp: true,
      network: 'LAN',
      volumes: 'disk0/2, disk0/3',
    });
    expect(answers).toEqual({
      port: 80,
      publicIp: true,
      network: 'group/lan',
      volumes: ['disk0/2', 'disk0/3'],
    });
  });
});

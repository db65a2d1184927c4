import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { Question } from '../../src/model/question.ts';
import { terminalHost } from '../../wizards/terminal-host.ts';

/** The real prompts on streams: keys go in as a keyboard sends them, and everything that appears is kept. */
function terminal(signal = new AbortController().signal, columns = 200) {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => undefined });
  const stdout = Object.assign(new PassThrough(), { isTTY: true, columns, rows: 40 });
  // As the process's own output does, it outlives every prompt.
  Object.assign(stdout, { end: () => stdout });
  let shown = '';
  stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
  });
  const host = terminalHost({ stdin, stdout, stderr: stdout, signal, clock: systemClock });
  return {
    host,
    shown: () => shown,
    /** Presses a key once the screen says what it waits for. */
    async press(keys: string, after: string): Promise<void> {
      for (let tries = 0; !shown.includes(after); tries += 1) {
        if (tries > 500) throw new Error(`"${after}" never appeared: ${shown}`);
        await systemClock.sleep(10);
      }
      stdin.write(keys);
    },
  };
}

const plain = stripVTControlCharacters;
const ENTER = '\r';
const DOWN = '\u001b[B';
const ESCAPE = '\u001b';
const CTRL_C = '\u0003';

const text: Question = { name: 'name', kind: 'text', message: 'Your name' };
const choice: Question = {
  name: 'size',
  kind: 'select',
  message: 'Size',
  choices: [
    { value: 's', label: 'Small', disabled: 'takes 2 disks' },
    { value: 'm', label: 'Medium' },
  ],
};

describe('A terminal', () => {
  it('takes a typed text', async () => {
    const { host, press } = terminal();
    const asked = host.ask(text, {});
    await press(`web${ENTER}`, 'Your name');
    expect(await asked).toEqual({ kind: 'value', value: 'web' });
  });

  it('says what is wrong and waits for another answer', async () => {
    const { host, press } = terminal();
    const validate = (value: unknown) => (value === 'web' ? undefined : 'That is no good.');
    const asked = host.ask({ ...text, validate }, {});
    await press(`x${ENTER}`, 'Your name');
    await press(`\u0015web${ENTER}`, 'That is no good.');
    expect(await asked).toEqual({ kind: 'value', value: 'web' });
  });

  it('takes Enter alone for a no where a yes cannot be taken back', async () => {
    const { host, press } = terminal();
    const asked = host.ask({ name: 'yes', kind: 'confirm', message: 'Remove it?', cautious: true }, {});
    await press(ENTER, 'Remove it?');
    expect(await asked).toEqual({ kind: 'value', value: 'no' });
  });

  it('goes back for `<`, for Esc and for the choice, and says so', async () => {
    const typed = terminal();
    const one = typed.host.ask(text, {});
    await typed.press(`<${ENTER}`, '< or Esc: back');
    expect(await one).toEqual({ kind: 'back' });

    const escaped = terminal();
    const two = escaped.host.ask(choice, {});
    await escaped.press(ESCAPE, 'esc back');
    expect(await two).toEqual({ kind: 'back' });

    const chosen = terminal();
    const three = chosen.host.ask(choice, {});
    await chosen.press(DOWN, '< back');
    await chosen.press(ENTER, '❯ < back');
    expect(await three).toEqual({ kind: 'back' });
  });

  it('shows why a choice cannot be taken', async () => {
    const { host, press, shown } = terminal();
    const asked = host.ask(choice, {});
    await press(ENTER, '❯ Medium');
    expect(await asked).toEqual({ kind: 'value', value: 'm' });
    expect(shown()).toContain('takes 2 disks');
  });

  it('never shows a secret', async () => {
    const { host, press, shown } = terminal();
    const asked = host.ask({ name: 'secret', kind: 'secret', message: 'Secret' }, {});
    await press(`hush-hush${ENTER}`, 'Secret');
    expect(await asked).toEqual({ kind: 'value', value: 'hush-hush' });
    expect(shown()).not.toContain('hush');
  });

  it('rejects as cancelled at Ctrl-C, and when the process is asked to stop', async () => {
    const { host, press } = terminal();
    const asked = host.ask(text, {});
    const refused = expect(asked).rejects.toMatchObject({ kind: 'cancelled' });
    await press(CTRL_C, 'Your name');
    await refused;

    const stopping = new AbortController();
    const stopped = terminal(stopping.signal);
    const asking = stopped.host.ask(text, {});
    const stops = expect(asking).rejects.toMatchObject({ kind: 'cancelled' });
    await stopped.press('', 'Your name');
    stopping.abort();
    await stops;
  });

  it('keeps the last of a moving line above what comes after it', () => {
    const { host, shown } = terminal();
    const moving = {
      kind: 'progress',
      id: 'copy',
      title: 'Copying',
      totalBytes: 100,
      bytesPerSecond: 10,
    } as const;
    host.tell({ ...moving, doneBytes: 40, secondsLeft: 6 });
    host.tell({ ...moving, doneBytes: 100, secondsLeft: 0 });
    host.tell({ kind: 'step', id: 'copy', title: 'Copy the disks', status: 'done', ms: 10_000 });
    const last = shown().split('\r').at(-1) ?? '';
    expect(last).toMatch(/Copying 100%, 100 B of 100 B, 10 B\/s\n.*ok {2}Copy the disks \(10.0 s\)/);
  });

  it('writes over what a step does just now, and cuts it to the width', () => {
    const { host, shown } = terminal();
    for (const text of ['Waiting for a sign of life', `Asking ${'x'.repeat(300)}`]) {
      host.tell({ kind: 'activity', id: 'boot', text });
    }
    host.tell({ kind: 'step', id: 'boot', title: 'Prove that it boots', status: 'done', ms: 1000 });
    const drawn = shown().split('\r\u001b[2K');
    expect(drawn.slice(1, -1)).toEqual(['... Waiting for a sign of life', `... Asking ${'x'.repeat(188)}`]);
    expect(drawn.at(-1)).toContain('ok  Prove that it boots (1.0 s)');
  });

  it('wraps what it says at words, and says once how to go back', async () => {
    const { host, press, shown } = terminal(undefined, 55);
    const before = 'The secret can be read only right after it was made: later the portal shows stars.';
    const asked = host.ask({ ...text, before, hint: 'as it stands in the portal' }, {});
    await press(`web${ENTER}`, 'Your name (< or Esc: back)');
    await asked;
    expect(shown()).toContain('only right after it was made:\nlater the portal');
    expect(shown()).toContain('  as it stands in the portal');
    // Answered, it is a line to read: no keys in it.
    expect(plain(shown()).split('\n').at(-2)).toMatch(/✔ Your name web/);
  });

  it('removes a list that was left with Esc', async () => {
    const { host, press, shown } = terminal();
    const asked = host.ask(choice, {});
    await press(ESCAPE, '❯ Medium');
    expect(await asked).toEqual({ kind: 'back' });
    expect(shown().lastIndexOf('\u001b[2K')).toBeGreaterThan(shown().lastIndexOf('Medium'));
  });
});

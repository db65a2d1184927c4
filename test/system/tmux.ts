import { execFile, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { systemClock } from '../../src/clock.ts';

const call = promisify(execFile);

export const TMUX_IS_THERE = spawnSync('tmux', ['-V']).status === 0;

/** Terminals of 80 columns with a shell in each, and hands that type: what a person sees and does, through tmux. */
export class Tmux {
  private readonly server: readonly string[];
  private readonly folder: string;
  private readonly environment: NodeJS.ProcessEnv;

  /** Its socket lies in `folder`, so that no other server can be meant. */
  constructor(folder: string, environment: NodeJS.ProcessEnv) {
    const file = join(folder, 'tmux.conf');
    writeFileSync(file, 'set -g history-limit 20000\nset -g default-terminal screen-256color\n');
    this.folder = folder;
    this.server = ['-S', join(folder, 'tmux.sock'), '-f', file];
    this.environment = { ...environment, ENV: '' };
  }

  async open(name: string): Promise<Terminal> {
    const session = ['new-session', '-d', '-s', name, '-x', '80', '-y', '50', '-c', this.folder, '/bin/sh'];
    await call('tmux', [...this.server, ...session], { env: this.environment });
    const terminal = new Terminal(name, async (args) => {
      const { stdout } = await call('tmux', [...this.server, ...args], { env: this.environment });
      return stdout;
    });
    await terminal.sees(READY);
    return terminal;
  }

  /** Ends the server and every shell in it. Content when none was started. */
  end(): void {
    spawnSync('tmux', [...this.server, 'kill-server'], { env: this.environment });
  }
}

/** The shell waits for a command. */
const READY = /(^|\n)[$#]\s*$/;
const SEEN_WITHIN_MS = 30_000;
const LOOK_EVERY_MS = 40;

export class Terminal {
  private readonly name: string;
  private readonly tmux: (args: readonly string[]) => Promise<string>;

  constructor(name: string, tmux: (args: readonly string[]) => Promise<string>) {
    this.name = name;
    this.tmux = tmux;
  }

  async press(...keys: readonly string[]): Promise<void> {
    await this.tmux(['send-keys', '-t', this.name, ...keys]);
  }

  async type(text: string): Promise<void> {
    await this.tmux(['send-keys', '-t', this.name, '-l', '--', text]);
  }

  /** A line for the shell, on an empty screen; at its end the screen says `ended with` and its exit code. */
  async command(line: string): Promise<void> {
    await this.sees(READY);
    await this.type(`clear; ${line}; echo "ended with $?"`);
    await this.press('Enter');
  }

  /** What stands on the screen, as it is drawn. */
  screen(): Promise<string> {
    return this.tmux(['capture-pane', '-p', '-t', this.name]);
  }

  /** Everything since the beginning, with lines that the terminal broke put together again. */
  history(): Promise<string> {
    return this.tmux(['capture-pane', '-p', '-J', '-S', '-', '-t', this.name]);
  }

  /** Waits until the screen matches, and gives it. */
  async sees(what: RegExp | string, withinMs = SEEN_WITHIN_MS): Promise<string> {
    const untilMs = systemClock.now() + withinMs;
    for (;;) {
      const screen = await this.screen();
      if (typeof what === 'string' ? screen.includes(what) : what.test(screen)) return screen;
      if (systemClock.now() > untilMs) throw new Error(`${String(what)} was never seen:\n${screen}`);
      await systemClock.sleep(LOOK_EVERY_MS);
    }
  }

  /** Waits until this question is asked: it is the last on the screen, and not answered yet. */
  async asked(question: string): Promise<string> {
    const escaped = question.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    return this.sees(new RegExp(`^\\? ${escaped}(?![^]*^[✔?] )`, 'm'));
  }

  /** Types an answer in place of what is proposed. */
  async answer(question: string, text: string): Promise<void> {
    await this.asked(question);
    await this.press('C-u');
    await this.type(text);
    await this.press('Enter');
  }

  /** Takes what is proposed. */
  async accept(...questions: readonly string[]): Promise<void> {
    for (const question of questions) {
      await this.asked(question);
      await this.press('Enter');
    }
  }

  /** Moves to a line of a list, as far as it takes, and chooses it. */
  async choose(question: string, label: string): Promise<void> {
    let screen = await this.asked(question);
    for (let moves = 0; moves < 60; moves += 1) {
      const list = screen
        .slice(screen.lastIndexOf(`? ${question}`))
        .split('\n')
        .slice(1);
      const here = list.findIndex((line) => line.startsWith('❯'));
      if (list[here]?.slice(1).trim().startsWith(label)) return this.press('Enter');
      const there = list.findIndex((line) => line.slice(1).trim().startsWith(label));
      await this.press(there >= 0 && there < here ? 'Up' : 'Down');
      screen = await this.otherThan(screen);
    }
    throw new Error(`${label} is not among the choices of ${question}:\n${screen}`);
  }

  private async otherThan(before: string): Promise<string> {
    const untilMs = systemClock.now() + SEEN_WITHIN_MS;
    for (;;) {
      const screen = await this.screen();
      if (screen !== before) return screen;
      if (systemClock.now() > untilMs) throw new Error(`Nothing moves any more:\n${screen}`);
      await systemClock.sleep(LOOK_EVERY_MS);
    }
  }
}

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { z } from 'zod';
import { readStateJson, writeStateFile } from '../block/state-file.ts';
import { makeInTurn } from '../in-turn.ts';
import type { Log } from '../log.ts';
import type { Result } from '../wire/messages.ts';

/**
 * Keeps this server off the network while its standby takes its place: by a command of the person's own, because only
 * they know which adapters may go. It gets one more argument, `disable` or `enable`, and must bear to be run twice.
 * Promises: the wish is on disk before the command runs, and at each start of the engine the command runs again before
 * anybody is dialled, so a server that comes back stays out. Dies at any line: the next start does it.
 */
const recordSchema = z.object({ fenced: z.array(z.string()) });

const COMMAND_MS = 60_000;
const SAID_MAX = 500;

export class Fence {
  readonly #path: string;
  readonly #command: readonly string[] | undefined;
  readonly #log: Log;
  #fenced: readonly string[];
  readonly #inTurn = makeInTurn();

  private constructor(
    path: string,
    command: readonly string[] | undefined,
    log: Log,
    fenced: readonly string[],
  ) {
    this.#path = path;
    this.#command = command;
    this.#log = log;
    this.#fenced = fenced;
  }

  static async open(options: {
    readonly stateFolder: string;
    readonly command?: readonly string[] | undefined;
    readonly log: Log;
  }): Promise<Fence> {
    const path = join(options.stateFolder, 'fence.json');
    const { fenced } = (await readStateJson(path, recordSchema)) ?? { fenced: [] };
    const fence = new Fence(path, options.command, options.log, fenced);
    if (fenced.length > 0) {
      const { outcome, why } = await fence.#run('disable');
      options.log.warn('this server stays off the network: its standby takes its place', {
        scenarios: fenced,
        outcome,
        why,
      });
    }
    return fence;
  }

  /** Whether there is a command: without one this server cannot be fenced. */
  get isPossible(): boolean {
    return this.#command !== undefined;
  }

  /** Of one scenario; the network comes back when no scenario wants it away any more. */
  set(scenarioId: string, fenced: boolean): Promise<Result<'fenceMaster'>> {
    return this.#inTurn(() => this.#set(scenarioId, fenced));
  }

  async #set(scenarioId: string, fenced: boolean): Promise<Result<'fenceMaster'>> {
    const before = this.#fenced;
    const others = before.filter((one) => one !== scenarioId);
    const next = fenced ? [...others, scenarioId] : others;
    if (next.length === before.length) return { outcome: 'done' };
    await writeStateFile(this.#path, JSON.stringify({ fenced: next }));
    this.#fenced = next;
    if (before.length > 0 && next.length > 0) return { outcome: 'done' };
    this.#log.warn(fenced ? 'taking this server off the network' : 'letting this server onto the network', {
      scenarioId,
    });
    const result = await this.#run(fenced ? 'disable' : 'enable');
    // It is still on the network: whoever asks again must not hear that it is done.
    if (fenced && result.outcome === 'failed') {
      await writeStateFile(this.#path, JSON.stringify({ fenced: before }));
      this.#fenced = before;
    }
    return result;
  }

  #run(what: 'disable' | 'enable'): Promise<Result<'fenceMaster'>> {
    const [program, ...args] = this.#command ?? [];
    if (program === undefined)
      return Promise.resolve({ outcome: 'failed', why: 'It has no --fence command.' });
    return new Promise((resolve) => {
      const options = { timeout: COMMAND_MS, killSignal: 'SIGKILL', maxBuffer: 1024 * 1024 } as const;
      execFile(program, [...args, what], options, (error, _said, complained) => {
        if (!error) return resolve({ outcome: 'done' });
        const ending = error.killed
          ? `${program} did not end within ${COMMAND_MS / 1000} s.`
          : `${program} ended with ${error.code ?? error.signal}.`;
        resolve({ outcome: 'failed', why: `${ending} ${complained.trim().slice(0, SAID_MAX)}`.trim() });
      });
    });
  }
}

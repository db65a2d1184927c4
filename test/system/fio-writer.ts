import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './commands.ts';

/**
 * fio on a disk that an engine serves over NBD: it writes blocks with a checksum in each, and reads all of them back.
 * Between the two stands qemu-nbd, which needs no root and waits, as a guest's QEMU does, when the engine is killed.
 */
const BLOCKS = ['--bs=4k', '--rw=randwrite', '--verify=crc32c', '--verify_fatal=1'];
const RECONNECT_SECONDS = 120;

export interface FioOptions {
  readonly folder: string;
  readonly sizeMib: number;
  /** The export of the engine. */
  readonly socket: string;
  readonly diskId: string;
}

export class FioWriter {
  readonly #options: FioOptions;
  readonly #relay: ChildProcess;
  /** Each pass writes every block once and reads it back. */
  passes = 0;
  #running: ChildProcess | undefined;
  #isOver = false;
  #work: Promise<void> = Promise.resolve();

  private constructor(options: FioOptions) {
    this.#options = options;
    const { socket, diskId } = options;
    const far = {
      driver: 'raw',
      file: {
        driver: 'nbd',
        server: { type: 'unix', path: socket },
        export: diskId,
        'reconnect-delay': RECONNECT_SECONDS,
      },
    };
    const args = [
      '--persistent',
      '--socket',
      this.#socket,
      '--export-name',
      'fio',
      `json:${JSON.stringify(far)}`,
    ];
    this.#relay = spawn('qemu-nbd', args, { stdio: ['ignore', 'inherit', 'inherit'] });
  }

  static async start(options: FioOptions): Promise<FioWriter> {
    const writer = new FioWriter(options);
    await until('qemu-nbd listens', () => existsSync(writer.#socket));
    writer.#work = writer.#write();
    return writer;
  }

  get #socket(): string {
    return join(this.#options.folder, 'fio.sock');
  }

  async #write(): Promise<void> {
    const uri = `nbd+unix:///fio?socket=${this.#socket}`;
    while (!this.#isOver) {
      await this.#fio([
        '--ioengine=nbd',
        `--uri=${uri}`,
        '--fsync=64',
        '--rate_iops=,1500',
        ...seed(this.passes + 1),
      ]);
      this.passes++;
    }
  }

  async #fio(args: readonly string[]): Promise<void> {
    const { folder, sizeMib } = this.#options;
    const child = spawn('fio', ['--name=fio', `--size=${sizeMib}m`, '--iodepth=8', ...BLOCKS, ...args], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#running = child;
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        said = `${said}${text}`.slice(-4_000);
      });
    }
    const [code, signal] = await once(child, 'close');
    this.#running = undefined;
    if (code !== 0) throw new Error(`fio ended with ${code ?? signal}: ${said}`);
  }

  /** Lets the pass that runs end; fails when anything that was written was ever read back as something else. */
  async finish(): Promise<void> {
    this.#isOver = true;
    await this.#work;
  }

  /** Reads what the last pass wrote, from a copy of the disk. */
  async verify(file: string): Promise<void> {
    await this.#fio(['--ioengine=psync', `--filename=${file}`, '--verify_only', ...seed(this.passes)]);
  }

  async close(): Promise<void> {
    this.#isOver = true;
    this.#work.catch(() => undefined); // Whoever closes it early knows why.
    for (const child of [this.#running, this.#relay]) {
      if (!child || child.exitCode !== null || child.signalCode !== null) continue;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
  }
}

function seed(pass: number): string[] {
  return [`--randseed=${1_000 + pass}`, '--random_generator=tausworthe'];
}

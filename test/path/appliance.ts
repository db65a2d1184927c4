import { ChangeReceiver, type OpenSetFile } from '../../src/appliance/change-receiver.ts';
import { readSmallFile, replaceFile } from '../../src/journal/files.ts';
import { type Journal, openJournal } from '../../src/journal/journal.ts';
import type { JournalSeams } from '../../src/journal/journal-options.ts';
import type { JournalLimits } from '../../src/journal/limits.ts';
import { silentLog } from '../../src/log.ts';
import type { Checksum } from '../../src/wire/checksum.ts';
import { FaultyMachine, type Sabotage } from '../journal/faulty-disk.ts';
import type { Random } from '../journal/random.ts';
import { DISK_IDS, type DiskId, DiskStates, SIZES } from './history.ts';
import type { Link } from './link.ts';

/** An appliance: the real receiver and the real journal, on a machine that stops at any call. */
const KIB = 1024;
const SEGMENT_BYTES = 48 * KIB;
const AMPLE: Partial<JournalLimits> = {
  segmentBytes: SEGMENT_BYTES,
  changeBytes: 8 * KIB,
  groupBytes: 8 * KIB,
  queuedBytes: 16 * KIB,
  pieceBytes: 8 * KIB,
  spaceBytes: 60 * SEGMENT_BYTES,
};

export interface ApplianceSabotage {
  readonly machine?: Sabotage;
  readonly seams?: JournalSeams;
}

export class PathAppliance {
  readonly machine: FaultyMachine;
  readonly limits: Partial<JournalLimits>;
  readonly isAmple: boolean;
  problems: string[] = [];
  /** A write was made to fail: what follows from that is right, until it starts again. */
  failedWrite = false;
  readonly #states = new DiskStates();
  readonly #link: Link;
  readonly #checksum: Checksum;
  readonly #sabotage: ApplianceSabotage;
  readonly #origin: bigint;
  #journal: Journal | undefined;
  #receiver: ChangeReceiver | undefined;
  /** The receiver waits until somebody made room. */
  #waiting: (() => void)[] = [];
  nowMs = 1_000_000;

  constructor(parts: {
    random: Random;
    link: Link;
    checksum: Checksum;
    sabotage: ApplianceSabotage;
    origin: bigint;
  }) {
    const { random, sabotage } = parts;
    this.#link = parts.link;
    this.#checksum = parts.checksum;
    this.#sabotage = sabotage;
    this.#origin = parts.origin;
    this.machine = new FaultyMachine(random, sabotage.machine ?? {});
    this.isAmple = random.chance(0.7);
    const tight = { spaceBytes: (14 + random.below(4)) * SEGMENT_BYTES, rewindMs: random.pick([0, 60_000]) };
    this.limits = this.isAmple ? AMPLE : { ...AMPLE, ...tight };
    for (const id of DISK_IDS) this.machine.addDisk(id, SIZES[id]);
  }

  get journal(): Journal {
    if (!this.#journal) throw new Error('the appliance was never started');
    return this.#journal;
  }

  get durableSequence(): bigint {
    return this.#receiver?.durableSequence ?? 0n;
  }

  get isWaitingForRoom(): boolean {
    return this.#waiting.length > 0;
  }

  get replica(): number {
    return this.#states.of((id) => this.machine.bytesOf(id));
  }

  bytesOf(id: DiskId): Buffer {
    return this.machine.bytesOf(id);
  }

  async start(): Promise<void> {
    const { machine } = this;
    const clock = {
      now: () => this.nowMs++,
      sleep: () => Promise.reject(new Error('nobody sleeps here')),
    };
    const files = machine.files();
    const journal = await openJournal({
      folder: '/journal',
      scenarioId: 'scenario',
      epoch: 1,
      originSequence: this.#origin,
      disks: DISK_IDS.map((diskId) => ({ diskId, sizeBytes: SIZES[diskId] })),
      files,
      clock,
      limits: this.limits,
      ...(this.#sabotage.seams ? { seams: this.#sabotage.seams } : {}),
    });
    this.#journal = journal;
    await journal.attach(new Map(DISK_IDS.map((id) => [id, waiting(machine.disk(id))])));
    const { boot } = machine;
    this.#receiver = new ChangeReceiver({
      journal,
      disks: DISK_IDS,
      checksum: this.#checksum,
      clock,
      log: silentLog,
      openSet: this.#openSet(files),
      onDurable: () => undefined,
      untilRoom: () => new Promise((resolve) => this.#waiting.push(resolve)),
      onProblem: ({ message }) => {
        if (boot === machine.boot && !machine.isStopped) this.problems.push(message);
      },
    });
    const receiver = this.#receiver;
    this.#link.answer = (connection) => receiver.open(connection);
  }

  #openSet(files: ReturnType<FaultyMachine['files']>): OpenSetFile {
    return {
      read: async () => {
        const bytes = await readSmallFile(files, '/journal', 'open-set.json');
        return bytes && BigInt(bytes.toString());
      },
      write: async (setId) => {
        await replaceFile(files, '/journal', 'open-set.json', Buffer.from(String(setId)));
      },
    };
  }

  madeRoom(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  markIdle(): void {
    this.#receiver?.markIdle();
  }

  /** The machine stopped, or its engine has to: begins again with what is on the medium. */
  reboot(power: boolean): void {
    this.#link.answer = undefined;
    this.#link.cut();
    this.machine.reboot(power);
    this.madeRoom();
    this.machine.failsWrites = 0;
    this.failedWrite = false;
    this.problems = [];
  }
}

/** Every call is waited for, so that there is a moment at which the machine may stop; what is done at once is the journal's own stories'. */
function waiting({ readNow: _readNow, writeNow: _writeNow, ...disk }: ReturnType<FaultyMachine['disk']>) {
  return disk;
}

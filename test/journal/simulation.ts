import { Pace } from '../../src/block/pace.ts';
import { isStandbyError } from '../../src/errors.ts';
import type { Journal } from '../../src/journal/journal.ts';
import type { JournalSeams } from '../../src/journal/journal-options.ts';
import type { JournalLimits } from '../../src/journal/limits.ts';
import { FaultyMachine, type Sabotage, Stopped } from './faulty-disk.ts';
import { DISKS, type Entry, MasterModel } from './master-model.ts';
import { Random } from './random.ts';
import { disksOf, openOn } from './scene.ts';
import {
  AMPLE,
  asText,
  DAMAGED,
  differing,
  NO_ROOM,
  partsOf,
  targetsOf,
  tightLimits,
} from './simulation-setup.ts';

/**
 * One seed is one story: a master lives, a journal takes its changes on a faulty machine, applies, rewinds and comes
 * forward, and is stopped anywhere. After every step the replica must be the master at a consistent position that
 * was acknowledged or is durable; after every start nothing acknowledged may be missing.
 */
export interface SimulationOptions {
  readonly steps: number;
  readonly sabotage?: Sabotage;
  readonly seams?: JournalSeams;
  /** At the end a bit of a segment turns. */
  readonly flips?: boolean;
}

export class Simulation {
  readonly #random: Random;
  readonly #options: SimulationOptions;
  readonly #machine: FaultyMachine;
  readonly #master: MasterModel;
  readonly #limits: Partial<JournalLimits>;
  readonly #isAmple: boolean;
  #journal: Journal | undefined;
  #nowMs = 1_000_000;
  #sent = 0;
  /** What somebody was told. */
  #acknowledged = 0n;
  #acknowledgedMark = 0n;
  readonly #bookmarks = new Map<string, bigint>();
  #names = 0;
  #flipped: { readonly path: string; readonly byte: number } | undefined;
  #rewound = false;
  /** Something was refused since the machine works: an operation may be unfinished. */
  #refused = false;
  readonly notices: string[] = [];
  readonly trail: string[] = [];
  restarts = 0;
  rewinds = 0;

  constructor(seed: number, options: SimulationOptions) {
    this.#random = new Random(seed);
    this.#options = options;
    this.#machine = new FaultyMachine(this.#random, options.sabotage);
    this.#master = new MasterModel(this.#random);
    this.#isAmple = this.#random.chance(0.6);
    this.#limits = this.#isAmple ? AMPLE : tightLimits(this.#random);
    for (const { diskId, sizeBytes } of DISKS) this.#machine.addDisk(diskId, sizeBytes);
  }

  get calls(): number {
    return this.#machine.calls;
  }

  async run(): Promise<void> {
    await this.#survive(() => this.#start());
    for (let step = 0; step < this.#options.steps && !this.#flipped; step++) {
      await this.#survive(() => this.#step());
    }
    if (this.#options.flips) await this.#flipOne();
    this.#machine.stopsIn = undefined;
    this.#machine.capacityBytes = Number.POSITIVE_INFINITY;
    this.#machine.failsWrites = 0;
    await this.#survive(() => this.#end());
  }

  /** Does something; when the machine stops meanwhile, starts it again, as often as it takes. */
  async #survive(act: () => Promise<void>): Promise<void> {
    let todo = act;
    for (;;) {
      try {
        await todo();
        if (!this.#machine.isStopped) return;
      } catch (error) {
        if (isStandbyError(error) && error.code === 'JOURNAL_WRITE_FAILED') this.#restart();
        else if (!(error instanceof Stopped) && !this.#machine.isStopped) throw error;
      }
      this.restarts++;
      const power = this.#random.chance(0.7);
      this.#tell(power ? 'power cut' : 'process killed');
      this.#machine.reboot(power);
      if (this.#random.chance(0.2)) this.#machine.stopsIn = 1 + this.#random.below(150);
      todo = () => this.#start();
    }
  }

  async #start(): Promise<void> {
    const journal = await openOn(this.#machine, {
      clock: { now: () => this.#nowMs, sleep: () => Promise.reject(new Error('nobody sleeps here')) },
      limits: this.#limits,
      onNotice: ({ code }) => {
        this.notices.push(code);
        const right = code === 'REWIND_WINDOW_SHRUNK' || this.#flipped !== undefined;
        this.#expect(right, `${code} without a reason`);
      },
      // Short calls at once, or mostly not; never as busy as this machine happens to be.
      seams: { pace: new Pace(this.#isAmple ? Number.POSITIVE_INFINITY : -1), ...this.#options.seams },
    });
    this.#journal = journal;
    this.#refused = false;
    this.#tell(`open at ${journal.durablePosition.sequence}, replica ${journal.appliedPosition.sequence}`);
    if (!this.#flipped) {
      const { kind, error } = journal.state;
      this.#expect(kind === 'ready', `the journal is ${kind}: ${error}`);
      journal.assertHolds(this.#acknowledged, this.#acknowledgedMark);
    }
    await this.#attach(journal);
    this.#resend();
    this.#checkReplica();
    this.#checkBookmarks();
    // A rewind holds the replica where it was brought to; otherwise the last mark somebody was told of is reached.
    if (this.#flipped || this.#rewound || this.#random.chance(0.5)) return;
    await this.#mayRefuse(async () => {
      const { sequence } = await journal.applyTo();
      this.#expect(sequence >= this.#acknowledgedMark, `${sequence} is before the last acknowledged mark`);
      this.#checkReplica();
    });
  }

  async #attach(journal: Journal): Promise<void> {
    const disks = disksOf(this.#machine);
    for (;;) {
      try {
        return await journal.attach(disks);
      } catch (error) {
        // No room, or a write failed: the machine gets what it lacks and tries again.
        if (!isStandbyError(error) || !NO_ROOM.has(error.code)) {
          if (!(error instanceof Error && 'code' in error && error.code === 'EIO')) throw error;
        }
        this.#machine.capacityBytes = Number.POSITIVE_INFINITY;
        this.#machine.failsWrites = 0;
        if (isStandbyError(error) && error.code === 'JOURNAL_WRITE_FAILED') throw this.#restart();
      }
    }
  }

  #restart(): Stopped {
    this.#machine.failsWrites = 0;
    this.#machine.stopsIn = 1;
    this.#machine.call(this.#machine.boot).catch(() => undefined);
    return new Stopped();
  }

  #resend(): void {
    const durable = this.#journal?.durablePosition.sequence ?? 0n;
    const again = this.#master.from(durable);
    // Sometimes a sender repeats more than it must.
    const more = this.#random.chance(0.3) ? this.#random.below(6) : 0;
    this.#sent = Math.max(0, this.#master.entries.length - again.length - more);
  }

  async #step(): Promise<void> {
    const { random } = this.#machine;
    const journal = this.#journal;
    if (!journal) throw new Error('it was never opened');
    if (journal.isReplicaConsistent) this.#refused = false;
    this.#nowMs += random.pick([1, 10, 100, 50_000, -1000]);
    if (this.#machine.stopsIn === undefined && random.chance(0.15)) {
      this.#machine.stopsIn = 1 + random.below(120);
    }
    if (!this.#isAmple && random.chance(0.05)) {
      this.#machine.capacityBytes = this.#machine.usedBytes + random.pick([0, 8192, 30_000]);
    } else if (random.chance(0.2)) this.#machine.capacityBytes = Number.POSITIVE_INFINITY;
    if (random.chance(0.02)) this.#machine.failsWrites = 1 + random.below(20);
    const sends = () => this.#send(journal);
    const applies = () => this.#apply(journal);
    const together = async () => {
      const ends = await Promise.allSettled([sends(), applies(), sends()]);
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    };
    const act = random.pick([sends, sends, sends, applies, applies, together, together]);
    await random.pick([act, act, act, act, () => this.#name(journal), () => this.#rewind(journal)])();
    if (this.#machine.isStopped) throw new Stopped();
    if (journal.state.kind === 'failed' || random.chance(0.04)) {
      if (random.chance(0.5)) await journal.close();
      throw this.#restart();
    }
    this.#checkReplica();
  }

  async #send(journal: Journal): Promise<void> {
    this.#master.live(1 + this.#random.below(12));
    const batch = this.#master.entries.slice(this.#sent);
    this.#sent = this.#master.entries.length;
    const answers = partsOf(batch, this.#random).map((part) => this.#sendPart(journal, part));
    for (const answer of await Promise.allSettled(answers)) {
      if (answer.status === 'fulfilled') continue;
      this.#resend();
      await this.#mayRefuse(() => Promise.reject(answer.reason));
    }
  }

  async #sendPart(journal: Journal, part: readonly Entry[]): Promise<void> {
    const last = part.at(-1);
    if (last === undefined) return;
    if (last.kind === 'mark') await journal.mark(last);
    else if (last.kind === 'abandon') await journal.abandonSet(last);
    else await journal.append(part.flatMap((entry) => (entry.kind === 'change' ? [entry.change] : [])));
    this.#machine.answer(this.#machine.boot);
    if (last.sequence > this.#acknowledged) this.#acknowledged = last.sequence;
    if (last.kind === 'mark' && last.sequence > this.#acknowledgedMark)
      this.#acknowledgedMark = last.sequence;
    const { sequence } = journal.durablePosition;
    this.#expect(sequence >= last.sequence, `${last.sequence} was answered, ${sequence} is durable`);
  }

  async #apply(journal: Journal): Promise<void> {
    // What is unfinished is finished first, and may end elsewhere.
    const settled = journal.isReplicaConsistent;
    const ahead = this.#master.moments.filter(
      ({ sequence }) =>
        sequence > journal.appliedPosition.sequence && sequence <= (journal.markedPosition?.sequence ?? 0n),
    );
    const to = settled && ahead.length > 0 && this.#random.chance(0.4) ? this.#random.pick(ahead) : undefined;
    const rewindable = this.#isAmple || this.#random.chance(0.9);
    this.#tell(`apply to ${to?.sequence ?? 'the last'}`);
    await this.#mayRefuse(async () => {
      const { sequence } = await journal.applyTo(
        to && { sequence: to.sequence },
        rewindable ? {} : { rewindable },
      );
      this.#rewound = false;
      if (to) this.#expect(sequence === to.sequence, `asked for ${to.sequence}, got ${sequence}`);
    });
  }

  async #name(journal: Journal): Promise<void> {
    if (!journal.markedPosition) return;
    const name = `bookmark ${this.#names++}`;
    await this.#mayRefuse(async () => {
      const { position } = await journal.bookmark(name);
      this.#tell(`${name} is ${position.sequence}`);
      this.#bookmarks.set(name, position.sequence);
      // Those that lie before the window are forgotten with the next one.
      const from = journal.usage().rewindFrom.sequence;
      for (const [old, sequence] of this.#bookmarks) if (sequence < from) this.#bookmarks.delete(old);
    });
  }

  async #rewind(journal: Journal): Promise<void> {
    const { sequence: applied } = journal.appliedPosition;
    const from = journal.usage().rewindFrom.sequence;
    const moments = this.#master.moments.filter(({ sequence }) => sequence >= from && sequence <= applied);
    if (moments.length === 0 || !journal.isReplicaConsistent) return;
    const moment = this.#random.pick(moments);
    const [target, expected] = this.#random.pick(targetsOf(journal, moment, this.#master.moments));
    this.#tell(`rewind to ${JSON.stringify(target, asText)}`);
    this.#rewound = true;
    await this.#mayRefuse(async () => {
      const { sequence } = await journal.rewind(target);
      this.#expect(sequence === expected, `asked for ${expected}, got ${sequence}`);
      this.rewinds++;
    });
  }

  /** Some refusals are right; everything else is not. */
  async #mayRefuse(act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (error instanceof Stopped || this.#machine.isStopped) throw new Stopped();
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      // The window may shrink between a question and its answer, where space is short.
      const shrank = code === 'REWIND_OUTSIDE_WINDOW' && !this.#isAmple;
      const right = NO_ROOM.has(code) || code === 'EIO' || shrank || (this.#flipped && DAMAGED.has(code));
      // A sender whose earlier call was refused comes too early with the next one.
      if (!right && !(code === 'JOURNAL_GAP' || code === 'ATOMIC_SET_ORDER')) throw error;
      this.#refused = true;
      this.#tell(`refused: ${code}`);
    }
  }

  #checkReplica(): void {
    const journal = this.#journal;
    if (!journal || this.#machine.isStopped || this.#machine.failsWrites > 0) return;
    if (journal.state.kind !== 'ready' || (this.#refused && !journal.isReplicaConsistent)) return;
    this.#expect(journal.isReplicaConsistent, 'the replica is between two positions, and nobody was told');
    this.#checkEqual(journal.appliedPosition.sequence);
    if (!this.#isAmple || this.#flipped) return;
    const from = journal.usage().rewindFrom.sequence;
    this.#expect(from === 0n, `the window begins at ${from}, though there is room for everything`);
  }

  #checkEqual(sequence: bigint): void {
    const moment = this.#master.momentAt(sequence);
    this.#expect(moment !== undefined, `the replica is at ${sequence}, which is not consistent`);
    for (const diskId of differing(moment?.disks, (id) => this.#machine.bytesOf(id))) {
      this.#expect(false, `${diskId} is not what the master had at ${sequence}`);
    }
  }

  #checkBookmarks(): void {
    const journal = this.#journal;
    if (!journal || this.#flipped) return;
    const there = new Map(journal.bookmarks().map(({ name, position }) => [name, position.sequence]));
    for (const [name, sequence] of this.#bookmarks) {
      if (sequence < journal.usage().rewindFrom.sequence) continue;
      this.#expect(there.get(name) === sequence, `${name} should be ${sequence}, not ${there.get(name)}`);
    }
  }

  async #flipOne(): Promise<void> {
    const paths = this.#machine.paths().filter((path) => path.endsWith('.seg'));
    if (paths.length === 0) return;
    this.#machine.stopsIn = undefined;
    const path = this.#random.pick(paths);
    const byte = this.#random.below(this.#machine.bytesOf(path).length);
    this.#machine.flipBit(path, byte * 8 + this.#random.below(8));
    this.#flipped = { path, byte };
    this.#tell(`a bit of ${path} at ${byte} is flipped`);
    this.#machine.reboot(false);
    await this.#survive(() => this.#startDamaged());
  }

  async #startDamaged(): Promise<void> {
    try {
      await this.#start();
    } catch (error) {
      if (!isStandbyError(error) || !DAMAGED.has(error.code)) throw error;
      this.#journal = undefined;
      return;
    }
    const journal = this.#journal;
    if (!journal || journal.state.kind === 'damaged') return;
    const last = this.#machine.lastRedo;
    const { path, byte } = this.#flipped ?? { path: '', byte: 0 };
    const isLast = last !== undefined && path === last.path && byte >= last.start && byte < last.end;
    const { sequence } = journal.durablePosition;
    const right = sequence >= this.#acknowledged || isLast;
    this.#expect(right, `${this.#acknowledged} was acknowledged, and cut at ${sequence} without a word`);
  }

  /** Everything that was ever promised, once more, on a machine that works. */
  async #end(): Promise<void> {
    const journal = this.#journal;
    if (!journal) return;
    if (journal.state.kind === 'failed') throw this.#restart();
    if (!this.#flipped) {
      this.#master.finish();
      await this.#send(journal);
    }
    await this.#mayRefuse(() => journal.applyTo());
    if (!this.#flipped && journal.state.kind === 'ready') {
      const { sequence } = journal.appliedPosition;
      this.#expect(sequence >= this.#acknowledgedMark, 'the last mark was not reached');
    }
    await this.#visitEverything(journal);
    await journal.close();
  }

  async #visitEverything(journal: Journal): Promise<void> {
    const applied = journal.appliedPosition.sequence;
    const names = journal.bookmarks().filter(({ position }) => position.sequence <= applied);
    for (const { name, position } of names.slice(-2)) {
      await this.#mayRefuse(async () => {
        await journal.rewind({ bookmark: name });
        this.#expect(journal.appliedPosition.sequence === position.sequence, `${name} was not reached`);
        this.#checkEqual(position.sequence);
        await journal.forward();
      });
      if (journal.state.kind !== 'ready') return;
      this.#checkEqual(journal.appliedPosition.sequence);
    }
    const from = journal.usage().rewindFrom.sequence;
    await this.#mayRefuse(async () => {
      await journal.rewind({ sequence: from });
      this.#checkEqual(from);
      await journal.forward();
    });
    if (journal.state.kind === 'ready') this.#checkEqual(journal.appliedPosition.sequence);
  }

  #tell(text: string): void {
    this.trail.push(text);
  }

  #expect(holds: boolean, otherwise: string): void {
    if (holds) return;
    throw new Error(`${otherwise}\n  ${this.trail.slice(-15).join('\n  ')}`);
  }
}

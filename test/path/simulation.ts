import { setImmediate as turn } from 'node:timers/promises';
import { isStandbyError } from '../../src/errors.ts';
import { makeChecksum } from '../../src/wire/checksum.ts';
import { Stopped } from '../journal/faulty-disk.ts';
import { Random } from '../journal/random.ts';
import { NO_ROOM } from '../journal/simulation-setup.ts';
import { PathAppliance } from './appliance.ts';
import { countAll, newHappened } from './counts.ts';
import { DISK_IDS } from './history.ts';
import { Link } from './link.ts';
import { PathMaster } from './master.ts';
import type { PathOptions } from './options.ts';

/** Right, once a bit of the journal turned; or of the spool, whose master then says that its stream is lost. */
const DAMAGED = new Set(['JOURNAL_DAMAGED', 'REWIND_DAMAGED', 'REPLICA_INCONSISTENT', 'JOURNAL_LOST']);
/** Turns of the event loop until everything must have arrived, once nothing fails any more. */
const PATIENCE = 60_000;

/**
 * One seed is one story of the whole path: a guest writes, the recorder and the sender of its master, a link, the
 * receiver and the journal of its appliance; either side stops anywhere, the link drops, repeats, spoils and cuts,
 * clocks step, disks run full. After every step the replica must be exactly what the master was at some moment; the same
 * position is always the same bytes; and after every start it is brought no further back than what was acknowledged.
 */
export class PathSimulation {
  readonly #random: Random;
  readonly #options: PathOptions;
  readonly #link: Link;
  #master!: PathMaster;
  #appliance!: PathAppliance;
  /** What the replica was at a position: the same for ever. */
  readonly #seen = new Map<bigint, { readonly state: number; readonly moment: number }>();
  #names = 0;
  /** It was brought back, and stays there until somebody moves it. */
  #isHeldBack = false;
  #isRefused = false;
  readonly trail: string[] = [];
  readonly #happened = newHappened();

  constructor(seed: number, options: PathOptions) {
    this.#random = new Random(seed);
    this.#options = options;
    this.#link = new Link(this.#random);
  }

  /** The stopwatch of the process is the story's own: some calls take long, the same ones each time it is told. */
  async run(): Promise<void> {
    let elapsedMs = 0;
    const { now } = performance;
    performance.now = () => {
      elapsedMs += this.#random.chance(0.01) ? 2 : 0.001;
      return elapsedMs;
    };
    try {
      await this.#tellStory();
    } finally {
      // Whatever is still under way must not look at the next story's stopwatch.
      this.#link.cut();
      this.#link.answer = undefined;
      this.#master?.vanish();
      performance.now = now;
    }
  }

  async #tellStory(): Promise<void> {
    await this.#begin();
    for (let step = 0; step < this.#options.steps; step++) {
      await this.#survive(() => this.#step());
      this.#checkReplica();
    }
    await this.#end();
  }

  /** What happened, by kind. */
  counts(): Record<string, number> {
    const { machine } = this.#appliance;
    return countAll(this.#happened, machine.faults, this.#master.faults, this.#link.faults);
  }

  async #begin(): Promise<void> {
    const { trustsWire, master = {}, appliance = {} } = this.#options;
    const blind = () => Buffer.alloc(16);
    const checksum = trustsWire ? blind : await makeChecksum();
    const parts = { random: this.#random, link: this.#link, checksum };
    this.#master = new PathMaster({ ...parts, sabotage: master });
    const origin = await this.#master.begin();
    this.#appliance = new PathAppliance({ ...parts, sabotage: appliance, origin });
    await this.#survive(() => this.#startAppliance());
  }

  /** Does something; when the appliance stops meanwhile, it is started again, as often as it takes. */
  async #survive(act: () => Promise<void>): Promise<void> {
    const { machine } = this.#appliance;
    let todo = act;
    for (;;) {
      try {
        await todo();
        if (!machine.isStopped && !this.#isFailed()) return;
      } catch (error) {
        const isFailed = isStandbyError(error) && error.code === 'JOURNAL_WRITE_FAILED';
        if (!(error instanceof Stopped) && !machine.isStopped && !isFailed) throw error;
      }
      const power = this.#random.chance(0.7);
      this.#tell(power ? 'the appliance loses power' : 'the appliance is killed');
      this.#appliance.reboot(power);
      if (this.#random.chance(0.2)) machine.stopsIn = 1 + this.#random.below(150);
      todo = () => this.#startAppliance();
    }
  }

  /** A write failed: its engine has to be started again. */
  #isFailed(): boolean {
    const { journal, failedWrite, problems } = this.#appliance;
    return failedWrite && (journal.state.kind === 'failed' || problems.length > 0);
  }

  async #startAppliance(): Promise<void> {
    const { machine } = this.#appliance;
    for (;;) {
      try {
        await this.#appliance.start();
        break;
      } catch (error) {
        const isFull = isStandbyError(error) && NO_ROOM.has(error.code);
        const isEio = error instanceof Error && 'code' in error && error.code === 'EIO';
        if (!isFull && !isEio) throw error;
        machine.capacityBytes = Number.POSITIVE_INFINITY;
        machine.failsWrites = 0;
        if (isStandbyError(error) && error.code === 'JOURNAL_WRITE_FAILED') throw error;
      }
    }
    this.#isRefused = false;
    const { journal } = this.#appliance;
    this.#tell(`open at ${journal.durablePosition.sequence}, replica ${journal.appliedPosition.sequence}`);
    this.#expect(journal.state.kind === 'ready', `the journal is ${journal.state.kind}`);
    this.#checkReplica();
    if (!this.#isHeldBack) await this.#reachPromise();
  }

  /** What was acknowledged can be reached: now, and after anything. */
  async #reachPromise(): Promise<void> {
    const { promisedMoment } = this.#master;
    if (!(await this.#mayRefuse(() => this.#appliance.journal.applyTo()))) return;
    const moment = this.#checkReplica();
    const isThere = moment === undefined || moment >= promisedMoment;
    this.#expect(isThere, `the replica is at moment ${moment}; ${promisedMoment} was acknowledged`);
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const { machine } = this.#appliance;
    const appliance = this.#appliance;
    if (random.chance(0.3)) {
      this.#happened.applianceClock++;
      appliance.nowMs = Math.max(0, appliance.nowMs + random.pick([300, 50_000, -2_000]));
    } else appliance.nowMs += random.below(10);
    if (machine.stopsIn === undefined && random.chance(0.25)) machine.stopsIn = 1 + random.below(100);
    if (random.chance(0.1)) {
      this.#happened.masterClock++;
      this.#master.stepClock(random.pick([-5_000, 60_000, 3_600_000]));
    }
    if (!appliance.isAmple && random.chance(0.1)) machine.capacityBytes = machine.usedBytes;
    else if (random.chance(0.3)) machine.capacityBytes = Number.POSITIVE_INFINITY;
    if (random.chance(0.02)) {
      machine.failsWrites = 1 + random.below(20);
      appliance.failedWrite = true;
    }
    if (appliance.isWaitingForRoom || random.chance(0.3)) await this.#move();
    await this.#live();
    const fate = random.below(24);
    if (fate === 0) this.#link.cut();
    else if (fate < 3) await this.#crashMaster();
    else if (fate < 5) await this.#name();
    else if (fate < 7) await this.#rewind();
    if (random.chance(0.1)) appliance.markIdle();
    if (machine.isStopped) throw new Stopped();
    if (random.chance(0.02)) {
      machine.stopsIn = 1;
      machine.call(machine.boot).catch(() => undefined); // It stops here: that is what was asked for.
    }
  }

  /** The guest goes on while the rest of the world does. */
  async #live(): Promise<void> {
    const random = this.#random;
    // Sometimes so much that its spool does not hold it.
    const writes = random.chance(0.05) ? 150 : random.below(10);
    for (let write = 0; write < writes; write++) {
      await this.#master.write();
      if (random.chance(0.3)) await this.#master.flush();
    }
    if (this.#master.recorder.state().mode === 'set') this.#happened.sets++;
    for (let turns = random.below(60); turns > 0; turns--) await turn();
  }

  async #crashMaster(): Promise<void> {
    this.#happened.masterCrashes++;
    this.#tell('the master crashes');
    await this.#master.crash();
    this.#tell(`the master is back at ${this.#master.recorder.state().lastSequence}`);
  }

  async #move(): Promise<void> {
    const { journal, machine } = this.#appliance;
    await this.#mayRefuse(async () => {
      await journal.applyTo(undefined, this.#random.chance(0.9) ? {} : { rewindable: false });
      this.#isHeldBack = false;
    });
    if (this.#appliance.isWaitingForRoom) {
      machine.capacityBytes = Number.POSITIVE_INFINITY;
      this.#appliance.madeRoom();
    }
  }

  async #name(): Promise<void> {
    const { journal } = this.#appliance;
    if (!journal.markedPosition) return;
    // One that nobody heard of may be there.
    const name = `b${this.#names++}`;
    await this.#mayRefuse(async () => {
      const { position } = await journal.bookmark(name);
      this.#happened.bookmarks++;
      this.#tell(`${name} is ${position.sequence}`);
    });
  }

  async #rewind(): Promise<void> {
    const { journal } = this.#appliance;
    if (!journal.isReplicaConsistent) return;
    const applied = journal.appliedPosition.sequence;
    const from = journal.usage().rewindFrom.sequence;
    const named = journal
      .bookmarks()
      .map(({ name, position }) => [{ bookmark: name }, position.sequence] as const);
    const visited = [...this.#seen.keys()].map((sequence) => [{ sequence }, sequence] as const);
    const targets = [...named, ...visited].filter(([, sequence]) => sequence >= from && sequence <= applied);
    if (targets.length === 0) return;
    const [target, expected] = this.#random.pick(targets);
    this.#tell(`rewind to ${expected}`);
    this.#isHeldBack = true;
    await this.#mayRefuse(async () => {
      const { sequence } = await journal.rewind(target);
      this.#expect(sequence === expected, `asked for ${expected}, got ${sequence}`);
      this.#happened.rewinds++;
      this.#checkReplica();
    });
  }

  /** Some refusals are right while there is no room, or a write failed; everything else is not. */
  async #mayRefuse(act: () => Promise<unknown>): Promise<boolean> {
    const { machine, isAmple } = this.#appliance;
    try {
      await act();
      return true;
    } catch (error) {
      if (error instanceof Stopped || machine.isStopped) throw new Stopped();
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      const shrank = code === 'REWIND_OUTSIDE_WINDOW' && !isAmple;
      if (!NO_ROOM.has(code) && code !== 'EIO' && !shrank) throw error;
      this.#isRefused = true;
      this.#tell(`refused: ${code}`);
      return false;
    }
  }

  /** Answers the moment of the master that the replica is; undefined while it is rightly between two. */
  #checkReplica(): number | undefined {
    const { journal, machine, problems } = this.#appliance;
    if (machine.isStopped || machine.failsWrites > 0 || this.#isFailed()) return undefined;
    const { problems: inStream, faults: onMaster } = this.#master;
    const isRight = inStream.length === 0 || (onMaster.flippedBits > 0 && this.#master.isLost);
    this.#expect(isRight, `the stream has a problem: ${inStream[0]}`);
    this.#expect(problems.length === 0, `the appliance has a problem: ${problems[0]}`);
    if (!journal.isReplicaConsistent && this.#isRefused) return undefined;
    this.#expect(journal.isReplicaConsistent, 'the replica is between two positions, and nobody was told');
    const { sequence } = journal.appliedPosition;
    const state = this.#appliance.replica;
    const before = this.#seen.get(sequence);
    const isSame = before === undefined || before.state === state;
    this.#expect(isSame, `position ${sequence} is not what it was before`);
    const moment = before?.moment ?? this.#master.history.momentOf(state);
    if (moment === undefined) {
      throw this.#failure(`the replica at ${sequence} is nothing that the master ever was`);
    }
    this.#seen.set(sequence, { state, moment });
    return moment;
  }

  /** Nothing fails any more: everything arrives, and every place that was visited can be visited again. */
  async #end(): Promise<void> {
    const { machine } = this.#appliance;
    this.#tell('nothing fails any more');
    this.#link.isFaulty = false;
    machine.stopsIn = undefined;
    machine.capacityBytes = Number.POSITIVE_INFINITY;
    machine.failsWrites = 0;
    await this.#survive(async () => undefined);
    this.#link.cut();
    await this.#untilEqual();
    const { journal } = this.#appliance;
    const visited = journal.bookmarks().map(({ position }) => position.sequence);
    for (const sequence of [journal.usage().rewindFrom.sequence, ...visited.slice(-2)]) {
      await journal.rewind({ sequence });
      this.#checkReplica();
      await journal.forward();
    }
    this.#checkReplica();
    if (this.#random.chance(0.1)) return await this.#turnBitOfJournal();
    if (this.#random.chance(0.1)) return await this.#turnBitOfSpool();
    await this.#master.close();
    await journal.close();
  }

  /** What it holds is passed on as it was written, or refused by name; and nothing of it is lost without a word. */
  async #turnBitOfJournal(): Promise<void> {
    const { machine } = this.#appliance;
    for (let write = this.#random.below(6); write > 0; write--) await this.#master.write();
    await this.#master.flush();
    for (let turns = this.#random.below(60); turns > 0; turns--) await turn();
    const { promisedMoment } = this.#master;
    const segments = machine.paths().filter((path) => path.endsWith('.seg'));
    if (segments.length === 0) return;
    const path = this.#random.pick(segments);
    const byte = this.#random.below(machine.bytesOf(path).length);
    machine.flipBit(path, byte * 8 + this.#random.below(8));
    this.#tell(`a bit of ${path} at ${byte} turns`);
    const last = machine.lastRedo;
    const isLast = last !== undefined && path === last.path && byte >= last.start && byte < last.end;
    this.#appliance.reboot(false);
    try {
      await this.#appliance.start();
    } catch (error) {
      if (!isStandbyError(error) || !DAMAGED.has(error.code)) throw error;
      return;
    }
    // Nobody is to go on with it.
    this.#link.answer = undefined;
    const { journal } = this.#appliance;
    let isApplied = true;
    await journal.applyTo().catch((error: unknown) => {
      if (!isStandbyError(error) || !DAMAGED.has(error.code)) throw error;
      isApplied = false;
    });
    if (!journal.isReplicaConsistent) return;
    const moment = this.#checkReplica() ?? 0;
    const isWhole = !isApplied || isLast || moment >= promisedMoment;
    this.#expect(isWhole, `${promisedMoment} was acknowledged, and cut at ${moment} without a word`);
  }

  /** Either the replica becomes what the master is all the same, or the master says that it never will. */
  async #turnBitOfSpool(): Promise<void> {
    this.#link.cut();
    for (let write = 1 + this.#random.below(6); write > 0; write--) await this.#master.write();
    await this.#master.flush();
    this.#tell('a bit of the spool turns');
    await this.#master.crash('process', { flips: true });
    for (let write = this.#random.below(6); write > 0; write--) await this.#master.write();
    await this.#untilEqual();
  }

  async #untilEqual(): Promise<void> {
    const master = this.#master;
    await master.flush();
    for (let turns = 0; ; turns++) {
      await turn();
      if (turns % 50 !== 0) continue;
      if (this.#master.isLost) return;
      this.#appliance.markIdle();
      if (this.#appliance.isWaitingForRoom || turns % 500 === 0) await this.#move();
      this.#checkReplica();
      const { mode, lastSequence } = master.recorder.state();
      if (mode === 'ordered' && master.acknowledged >= lastSequence) break;
      if (turns % 5_000 === 0) await master.flush();
      this.#expect(turns < PATIENCE, `${lastSequence} never arrived: ${master.acknowledged} did, ${mode}`);
    }
    await this.#move();
    await this.#reachPromise();
    for (const id of DISK_IDS) {
      const isEqual = master.bytesOf(id).equals(this.#appliance.bytesOf(id));
      this.#expect(isEqual, `${id} of the replica is not that of the master in the end`);
    }
  }

  #tell(text: string): void {
    this.trail.push(text);
  }

  #expect(holds: boolean, otherwise: string): void {
    if (!holds) throw this.#failure(otherwise);
  }

  #failure(words: string): Error {
    return new Error(`${words}\n  ${this.trail.slice(-15).join('\n  ')}`);
  }
}

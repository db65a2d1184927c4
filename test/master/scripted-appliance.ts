import { Listener } from '../../src/appliance/listener.ts';
import type { Change } from '../../src/capture/capture.ts';
import { systemClock } from '../../src/clock.ts';
import { StandbyError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import type { Authority } from '../../src/wire/certificates.ts';
import { type ChangeRecord, decodeChanges } from '../../src/wire/change-frame.ts';
import type { Checksum } from '../../src/wire/checksum.ts';
import type { Connection, Handlers, LaneFrames } from '../../src/wire/connection.ts';
import { FRAME, makeFrame } from '../../src/wire/frame.ts';
import { ALPN, LIMITS, PROTOCOL, TIMINGS } from '../../src/wire/limits.ts';
import type { Params } from '../../src/wire/messages.ts';
import { Replica } from '../capture/rig.ts';
import { leafOf } from '../fixtures/engines.ts';
import { QUICK } from '../fixtures/quick-timings.ts';

/**
 * An appliance that does what a test tells it, behind the real door with real certificates. What it calls durable
 * survives a cut; what it had not called so is forgotten then, as by an appliance that was killed.
 */
export class ScriptedAppliance {
  readonly id = 'app-scripted';
  port = 0;
  session: Connection | undefined;
  changes: Connection | undefined;
  sessions = 0;
  hello: Extract<Params<'hello'>, { purpose: 'session' }> | undefined;
  replica: Replica;
  /** Answer `durable` for what comes. */
  isQuick = true;
  /** Take the connection of changes. */
  isWelcome = true;
  /** Body bytes that came and were not answered yet, and the most there ever were. */
  unansweredBytes = 0;
  mostUnansweredBytes = 0;
  frames = 0;
  records = 0;
  readonly states: Params<'streamState'>['state'][] = [];
  readonly problems: Params<'streamProblem'>[] = [];
  readonly provings: string[] = [];
  readonly provens: Params<'streamProven'>[] = [];
  /** Keep what the copy was at each mark: a proof may be of any of them. */
  expectsProof = false;
  readonly proven = new Map<string, Replica>();
  readonly #checksum: Checksum;
  readonly #diskIds: readonly string[];
  #durable: { after: bigint; replica: Replica };
  /** What came since. */
  #pending: Change[] = [];
  #lastChange = 0n;
  #expected = 0n;
  #listener: Listener | undefined;

  constructor(checksum: Checksum, disks: Readonly<Record<string, Uint8Array>>) {
    this.#checksum = checksum;
    this.#diskIds = Object.keys(disks);
    this.replica = new Replica(disks);
    this.#durable = { after: 0n, replica: this.replica.clone() };
  }

  async listen(authority: Authority): Promise<void> {
    const credentials = await leafOf(authority, `standby:appliance:${this.id}`, ['127.0.0.1']);
    this.#listener = new Listener({ clock: systemClock, log: silentLog, timings: { ...TIMINGS, ...QUICK } });
    this.#listener.open({ ...credentials, protocols: [ALPN.engines], greet: () => this.#greeting() });
    ({ port: this.port } = await this.#listener.listen('127.0.0.1', this.port));
  }

  async leave(): Promise<void> {
    await this.#listener?.close('the test says so');
    this.#listener = undefined;
  }

  /** The connection of changes breaks; what was not durable is forgotten. */
  async cut(): Promise<void> {
    const { changes } = this;
    changes?.drop('the test cuts it');
    await changes?.closed;
  }

  /** All that came is durable. */
  say(): void {
    this.#durable.replica.take(this.#pending);
    this.#durable.after = this.#lastChange;
    this.#pending = [];
    this.unansweredBytes = 0;
    const body = Buffer.alloc(8);
    body.writeBigUInt64LE(this.replica.position);
    this.changes?.post(makeFrame(FRAME.durable, body));
  }

  /** A copy of the disk as it is: what a first synchronisation leaves. */
  hold(diskId: string, bytes: Buffer): void {
    this.replica.disks.set(diskId, Buffer.from(bytes));
    this.#durable.replica.disks.set(diskId, Buffer.from(bytes));
  }

  async start(facts: Omit<Params<'streamStart'>, 'scenarioId'>): Promise<bigint | undefined> {
    if (!this.session) throw new Error('no session');
    const { originSequence } = await this.session.request('streamStart', { scenarioId: 's1', ...facts });
    if (originSequence === undefined) return undefined;
    const origin = BigInt(originSequence);
    this.replica.position = origin;
    this.#lastChange = origin;
    this.#durable = { after: origin, replica: this.replica.clone() };
    return origin;
  }

  #greeting(): Handlers {
    return {
      hello: async (hello, connection) => {
        const common = {
          applianceId: this.id,
          engineVersion: '0',
          protocol: PROTOCOL,
          nowMs: systemClock.now(),
        };
        if (hello.purpose === 'session') {
          connection.prove(this.#ofSession());
          this.hello = hello;
          this.session = connection;
          this.sessions++;
          void connection.closed.then(() => {
            if (this.session === connection) this.session = undefined;
          });
          return common;
        }
        if (hello.purpose !== 'changes' || !this.isWelcome) {
          throw new StandbyError({ code: 'NOT_NOW', what: 'The test takes no changes now.', retry: 'later' });
        }
        connection.prove({}, this.#lane());
        this.changes = connection;
        this.replica = this.#durable.replica.clone();
        this.#pending = [];
        this.#lastChange = this.#durable.after;
        this.#expected = this.#durable.after;
        this.unansweredBytes = 0;
        return { ...common, after: String(this.#durable.after) };
      },
    };
  }

  #ofSession(): Handlers {
    return {
      streamState: async ({ state }) => {
        this.states.push(state);
        return {};
      },
      streamProblem: async (problem) => {
        this.problems.push(problem);
        return {};
      },
      streamProving: async ({ sequence }) => {
        this.provings.push(sequence);
        return {};
      },
      streamProven: async (proven) => {
        this.provens.push(proven);
        return {};
      },
    };
  }

  #lane(): LaneFrames {
    return {
      limitOf: (type) => (type === FRAME.changes ? LIMITS.changesBodyBytes : undefined),
      bufferFor: (_type, length) => Buffer.allocUnsafe(length),
      onFrame: (_header, body) => this.#take(body),
    };
  }

  #take(body: Buffer): void {
    this.unansweredBytes += body.length;
    this.mostUnansweredBytes = Math.max(this.mostUnansweredBytes, this.unansweredBytes);
    const { after, records } = decodeChanges(body, this.#checksum);
    if (after !== this.#expected) throw new Error(`changes after ${after}, but ${this.#expected} came last`);
    this.frames++;
    this.records += records.length;
    for (const record of records) {
      this.#expected = record.sequence;
      const isMark = record.kind === 'flush' || record.kind.startsWith('set');
      // Marks behind the last durable change may come again.
      if (isMark && record.sequence <= this.replica.position) continue;
      const change = this.#changeOf(record);
      this.replica.take([change]);
      this.#pending.push(change);
      if (!isMark) this.#lastChange = record.sequence;
      const sequence = String(record.sequence);
      if (isMark && this.expectsProof) this.proven.set(sequence, this.replica.clone());
    }
    if (this.isQuick) this.say();
  }

  #changeOf(record: ChangeRecord): Change {
    const diskId = record.kind === 'flush' ? '' : (this.#diskIds[record.disk] ?? '');
    const data = record.data ? { data: Buffer.from(record.data) } : {};
    return { ...record, diskId, ...data };
  }
}

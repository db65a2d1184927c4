import { readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { ChangeReceiver } from '../src/appliance/change-receiver.ts';
import { Listener } from '../src/appliance/listener.ts';
import { openFolder } from '../src/block/files.ts';
import type { QuickDevice } from '../src/block/open-device.ts';
import type { ChangeStream } from '../src/capture/capture.ts';
import { Recorder } from '../src/capture/recorder.ts';
import { systemClock } from '../src/clock.ts';
import { silentLog } from '../src/log.ts';
import { ChangeSender } from '../src/master/change-sender.ts';
import type { Credentials } from '../src/wire/certificates.ts';
import { makeChecksum } from '../src/wire/checksum.ts';
import { ALPN, PROTOCOL, TIMINGS } from '../src/wire/limits.ts';
import { throughputOf } from './latencies.ts';
import { openUsedJournal } from './used-journal.ts';

/**
 * Both ends of the stream of changes, each a process of its own, with everything the engines put between a writer's
 * change and the word that it is durable there: spool with its sync here, mutual TLS, checksums, journal with its sync
 * there. Left out are the disks themselves. `stream-process.ts <options as JSON>`: the appliance's end says its port on
 * standard error; the master's writes one JSON document.
 */
interface StreamOptions {
  readonly role: 'appliance' | 'master';
  readonly folder: string;
  readonly credentialsFile: string;
  readonly applianceId: string;
  readonly diskBytes: number;
  readonly usedBytes: number;
  /** Of the master. */
  readonly port: number;
  readonly writers: number;
  readonly changeBytes: number;
  readonly seconds: number;
}

const options: StreamOptions = JSON.parse(process.argv[2] ?? '{}');
const credentials: Credentials = JSON.parse(readFileSync(options.credentialsFile, 'utf8'));
const WARM_SECONDS = 0.5;
const SPOOL_BYTES = 256 * 1024 * 1024;
const SCENARIO = 'bench';
const DISK = 'disk0';

async function appliance(): Promise<void> {
  const { folder, diskBytes, usedBytes } = options;
  const { journal } = await openUsedJournal({ folder: join(folder, 'journal'), diskBytes, usedBytes });
  const receiver = new ChangeReceiver({
    journal,
    disks: [DISK],
    checksum: await makeChecksum(),
    clock: systemClock,
    log: silentLog,
    openSet: { read: async () => undefined, write: async () => undefined },
    onDurable: () => undefined,
    untilRoom: async (error) => {
      throw error;
    },
    onProblem: (error) => {
      throw error;
    },
  });
  const listener = new Listener({ clock: systemClock, log: silentLog, timings: TIMINGS });
  const { certificatePem, keyPem, caPem } = credentials;
  listener.open({
    certificatePem: `${certificatePem}\n${caPem}`,
    keyPem,
    caPem,
    protocols: [ALPN.engines],
    greet: ({ identity }) =>
      identity?.role !== 'master'
        ? undefined
        : {
            hello: async (_hello, connection) => {
              const { after, lane } = await receiver.open(connection);
              connection.prove({}, lane);
              const facts = { applianceId: options.applianceId, engineVersion: 'bench', protocol: PROTOCOL };
              return { ...facts, nowMs: systemClock.now(), after: String(after) };
            },
          },
  });
  const { port } = await listener.listen('127.0.0.1', 0);
  process.stderr.write(`listens on ${port}\n`);
  await new Promise<void>((resolve) => process.once('SIGTERM', () => resolve()));
  await listener.close('the bench is over');
  await receiver.end('the bench is over');
  const { sequence } = journal.durablePosition;
  await journal.close();
  process.stdout.write(`${JSON.stringify({ durable: String(sequence) })}\n`);
}

/** Writes go nowhere: what is measured is how their changes become durable at both ends. */
const noDisk: QuickDevice = {
  path: 'none',
  kind: 'file',
  sizeBytes: options.diskBytes,
  read: async () => undefined,
  readNow: () => undefined,
  write: async () => undefined,
  writePieces: async () => undefined,
  writeNow: () => undefined,
  sync: async () => undefined,
  identity: async () => 'none',
  close: async () => undefined,
};

async function master(): Promise<void> {
  const { folder, port, applianceId, diskBytes, usedBytes, writers, changeBytes, seconds } = options;
  await mkdir(folder, { recursive: true });
  const recorder = await Recorder.open({
    folder: await openFolder(join(folder, 'spool')),
    disks: [{ id: DISK, device: noDisk }],
    excluded: [],
    clock: systemClock,
    log: silentLog,
    spoolBytes: SPOOL_BYTES,
  });
  const [disk] = recorder.disks;
  if (!disk) throw new RangeError('the recorder has no disk');
  const origin = await recorder.restart();
  // The journal was used before: its numbers are ahead of a new recorder's, which are told that much higher.
  const used = BigInt(Math.ceil(usedBytes / (1024 * 1024)));
  const by = used - origin;
  const { stream, durable } = shifted(recorder, by);
  const broken = Promise.withResolvers<never>();
  const sender = new ChangeSender({
    appliance: { id: applianceId, address: '127.0.0.1', port },
    credentials,
    scenarioId: SCENARIO,
    epoch: 1,
    diskIds: [DISK],
    changes: stream,
    origin: used,
    checksum: await makeChecksum(),
    clock: systemClock,
    log: silentLog,
    timings: TIMINGS,
    onProblem: broken.reject,
  });
  const latencies: number[] = [];
  const began = performance.now() + WARM_SECONDS * 1000;
  const end = began + seconds * 1000;
  let flushing: Promise<void> | undefined;
  /** As a guest's file system does: one flush for all who want one. */
  const flush = () => {
    flushing ??= new Promise<void>((resolve, reject) => {
      setImmediate(() => {
        flushing = undefined;
        recorder.flush(disk).then(resolve, reject);
      });
    });
    return flushing;
  };
  const write = async (writer: number) => {
    const data = Buffer.alloc(changeBytes, writer + 1);
    for (let turn = 0; performance.now() < end; turn++) {
      const at = performance.now();
      const offsetBytes = ((turn * writers + writer) * changeBytes) % diskBytes;
      await new Promise<void>((resolve, reject) => {
        const done = (error?: unknown) => (error === undefined ? resolve() : reject(error));
        disk.submit({ kind: 'data', offsetBytes, lengthBytes: changeBytes, pieces: [data], done });
      });
      const { lastSequence } = recorder.state();
      await Promise.all([flush(), durable(lastSequence)]);
      if (at >= began) latencies.push(performance.now() - at);
    }
  };
  const cpuBefore = process.cpuUsage();
  await Promise.race([
    Promise.all(Array.from({ length: writers }, (_, writer) => write(writer))),
    broken.promise,
  ]);
  const cpu = process.cpuUsage(cpuBefore);
  const tookSeconds = (performance.now() - began) / 1000;
  await sender.stop();
  const { lastSequence } = recorder.state();
  await recorder.close();
  await rm(folder, { recursive: true, force: true });
  const result = {
    ...throughputOf({ latenciesMs: latencies, tookSeconds, changeBytes, cpu }),
    acknowledged: String(lastSequence + by),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

/** The stream with numbers that are so much higher, and who waits until a change is durable at the other end. */
function shifted(changes: Recorder, by: bigint) {
  let acknowledged = 0n;
  let waiting: { readonly sequence: bigint; resolve(): void }[] = [];
  const stream: ChangeStream = {
    next: async (signal) =>
      (await changes.next(signal)).map((change) => ({ ...change, sequence: change.sequence + by })),
    acknowledge: (sequence) => {
      acknowledged = sequence - by;
      const still: typeof waiting = [];
      for (const one of waiting) {
        if (one.sequence <= acknowledged) one.resolve();
        else still.push(one);
      }
      waiting = still;
      return changes.acknowledge(sequence - by);
    },
    resumeAfter: (sequence) => changes.resumeAfter(sequence - by),
    restart: () => changes.restart(),
    state: () => changes.state(),
    prove: (proof) => changes.prove(proof),
  };
  const durable = (sequence: bigint) =>
    sequence <= acknowledged
      ? Promise.resolve()
      : new Promise<void>((resolve) => waiting.push({ sequence, resolve }));
  return { stream, durable };
}

await (options.role === 'appliance' ? appliance() : master());

import process from 'node:process';
import { parseArgs } from 'node:util';
import { isoTime, systemClock } from '../../src/clock.ts';
import { isStandbyError, messageOf } from '../../src/errors.ts';
import type { Log } from '../../src/log.ts';
import { removeRecord, writeFailure, writeRecord } from './daemon-record.ts';
import { startLocalAzure } from './local-azure.ts';

/**
 * The background process of `standby local up`. It says that it is ready by writing its record, and ends on SIGTERM
 * after its guests and the blob service. Killed with -9, its record names a dead process, its lock is gone with
 * it, and the next start takes everything over.
 */
const { values } = parseArgs({
  options: {
    folder: { type: 'string' },
    guests: { type: 'string' },
    latency: { type: 'string' },
    port: { type: 'string' },
    'request-log': { type: 'string' },
    'traffic-folder': { type: 'string' },
  },
});
const { folder = '', guests = 'qemu', latency = 'quick' } = values;

const write = (level: string) => (text: string, facts?: Readonly<Record<string, unknown>>) => {
  const line = { at: isoTime(systemClock.now()), level, text, ...facts };
  process.stderr.write(
    `${JSON.stringify(line, (_name, value: unknown) => (value instanceof Error ? (value.stack ?? value.message) : value))}\n`,
  );
};
const log: Log = { debug() {}, info: write('info'), warn: write('warn'), error: write('error') };

const stopping = new AbortController();
const stop = () => stopping.abort();
process.on('SIGTERM', stop).on('SIGINT', stop);
// The terminal that started it may close.
process.on('SIGHUP', () => undefined);

try {
  const azure = await startLocalAzure({
    folder,
    guests: guests === 'none' ? 'none' : 'qemu',
    latency: latency === 'none' || latency === 'azure' ? latency : 'quick',
    ...(values.port === undefined ? {} : { port: Number(values.port) }),
    ...(values['request-log'] === undefined ? {} : { requestLogFile: values['request-log'] }),
    ...(values['traffic-folder'] === undefined ? {} : { trafficFolder: values['traffic-folder'] }),
    log,
    clock: systemClock,
  });
  writeRecord(folder, { url: azure.endpoint.url, guests, latency });
  log.info('Local Azure is up', { url: azure.endpoint.url, guests, latency });
  if (!stopping.signal.aborted) {
    await new Promise<void>((resolve) =>
      stopping.signal.addEventListener('abort', () => resolve(), { once: true }),
    );
  }
  await azure.stop();
  removeRecord(folder);
  log.info('Local Azure is down');
} catch (error) {
  log.error('Local Azure failed', { error });
  const { code, what, why, next } = isStandbyError(error)
    ? error
    : { code: 'LOCAL_AZURE_FAILED', what: 'Local Azure failed.', why: messageOf(error), next: undefined };
  writeFailure(folder, {
    code,
    what,
    ...(why === undefined ? {} : { why }),
    ...(next === undefined ? {} : { next }),
  });
  process.exitCode = 1;
}

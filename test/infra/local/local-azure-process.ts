import { startLocalAzure } from '../../../infra/local/local-azure.ts';
import { systemClock } from '../../../src/clock.ts';
import { silentLog } from '../../../src/log.ts';
import { gatheringTraffic } from '../../fixtures/traffic.ts';

/** Local Azure as a process of its own, so that a test can kill it: `node local-azure-process.ts <folder>`. */
const [folder = ''] = process.argv.slice(2);
const local = await startLocalAzure({
  folder,
  guests: 'qemu',
  latency: 'none',
  ...gatheringTraffic(),
  log: silentLog,
  clock: systemClock,
});
process.on('SIGTERM', () => {
  local.stop().then(
    () => process.disconnect?.(),
    (error: unknown) => {
      throw error;
    },
  );
});
process.send?.('up');

import type { CloudMachines } from '../../../src/ports/cloud-machines.ts';
import { parseArmId } from '../arm-id.ts';
import type { Azure } from '../azure.ts';
import { readBlobTail } from './blob-client.ts';

/** The end of the log is what tells how a boot went. */
const SERIAL_LOG_MAX_BYTES = 4 * 1024 * 1024;
/** Uncompressed, of a large screen. What is longer comes without its beginning, and is then no picture. */
const SCREENSHOT_MAX_BYTES = 32 * 1024 * 1024;

export function makeBootDiagnostics(azure: Azure): Pick<CloudMachines, 'serialLog' | 'screenshot'> {
  const { calls, clients } = azure;
  const locate = async (id: string, what: string) => {
    const { resourceGroup, name } = parseArmId(id);
    const client = await clients.compute();
    return calls.find(`${what} of the VM ${name} could not be read.`, () =>
      client.virtualMachines.retrieveBootDiagnosticsData(resourceGroup, name),
    );
  };
  return {
    async serialLog(id) {
      const url = (await locate(id, 'The serial console'))?.serialConsoleLogBlobUri;
      const log = url ? await readBlobTail(azure, url, SERIAL_LOG_MAX_BYTES) : undefined;
      return log?.toString('utf8');
    },
    async screenshot(id) {
      const url = (await locate(id, 'The screenshot'))?.consoleScreenshotBlobUri;
      return url ? readBlobTail(azure, url, SCREENSHOT_MAX_BYTES) : undefined;
    },
  };
}

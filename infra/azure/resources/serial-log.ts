import type { CloudMachines } from '../../../src/ports/cloud-machines.ts';
import { parseArmId } from '../arm-id.ts';
import type { Azure } from '../azure.ts';
import { readBlobTail } from './blob-client.ts';

/** The end of the log is what tells how a boot went. */
const SERIAL_LOG_MAX_BYTES = 4 * 1024 * 1024;

export function makeSerialLog(azure: Azure): CloudMachines['serialLog'] {
  const { calls, clients } = azure;
  return async (id) => {
    const { resourceGroup, name } = parseArmId(id);
    const client = await clients.compute();
    const where = await calls.find(`The serial console of the VM ${name} could not be read.`, () =>
      client.virtualMachines.retrieveBootDiagnosticsData(resourceGroup, name),
    );
    const url = where?.serialConsoleLogBlobUri;
    return url ? readBlobTail(azure, url, SERIAL_LOG_MAX_BYTES) : undefined;
  };
}

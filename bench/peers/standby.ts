import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Authority } from '../../src/wire/certificates.ts';
import type { CopyOptions } from '../../src/wire/control-session.ts';
import type { Ready } from '../contest.ts';
import { attachLun, startAppliance, startMaster, untilState } from '../engines.ts';
import type { Stage } from '../stage.ts';
import type { CopyCourse, CopyPeer } from './copy-course.ts';

/**
 * Our engines, new ones for each run, so that they are as cold as a peer's programs. `durable` is the moment at which
 * every byte is on the medium of the appliance, with the state from which a copy goes on; `end` that at which both ends
 * have read their disks again and agreed on the digest, which no peer does.
 */
export function standby(name: string, authority: Authority, options: CopyOptions): CopyPeer {
  return { name, ready: (stage, course) => readyStandby(stage, course, authority, options) };
}

async function readyStandby(
  stage: Stage,
  { source, target, old, folder }: CopyCourse,
  authority: Authority,
  options: CopyOptions,
): Promise<Ready> {
  const appliance = await startAppliance(stage, join(folder, 'standby'), authority);
  await attachLun(appliance, 1, target);
  const master = await startMaster(stage, appliance, { masterId: 'master', disks: [source] });
  const { control } = appliance;
  const scenarioId = 'bench';
  const sizeBytes = statSync(source).size;
  const disk = { diskId: 'disk0', lun: 1, sizeBytes, blank: old === undefined, excluded: [] };
  await control.openReplica({ scenarioId, masterId: 'master', epoch: 1, disks: [disk] });
  return {
    servers: [appliance.engine.pid, master.pid],
    engines: [appliance.engine.pid, master.pid],
    run: async (lap) => {
      await control.startCopy(scenarioId, options);
      const isDurable = (state: string) => state === 'proving' || state === 'synchronised';
      await untilState(stage, control, scenarioId, ({ state }) => isDurable(state));
      lap('durable');
      await untilState(stage, control, scenarioId, ({ state }) => state === 'synchronised');
    },
    end: async () => {
      await appliance.end();
      await master.stop();
    },
  };
}

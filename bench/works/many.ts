import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeAuthority } from '../../src/wire/certificates.ts';
import type { ReplicaSpec } from '../../src/wire/control-session.ts';
import { type Contestant, contest, type Ready } from '../contest.ts';
import { type Appliance, attachLun, startAppliance, startMaster, untilState } from '../engines.ts';
import { assertEqual, imageFacts, makeImage, makeTarget } from '../images.ts';
import type { Running } from '../processes.ts';
import { type Goal, memoryVerdicts, tableOf, type WorkReport } from '../report.ts';
import type { Stage } from '../stage.ts';

/**
 * Sixteen masters with a disk each, all at once to one appliance, beside one master that has the same sixteen disks: the
 * same bytes to the same targets. The engines stay from round to round, as they would, so their memory is that of several.
 */
const MASTERS = 16;
const MEMORY_MIB = 256;
const TOGETHER = `${MASTERS} masters together`;
const ALONE = 'one master alone';
const GOALS: readonly Goal[] = [{ of: 'wall', ours: TOGETHER, peer: ALONE, atLeast: 0.9 }];
const OPTIONS = { capture: 'at-rest', lanes: 2, compression: 'none' } as const;

interface Crowd {
  readonly appliance: Appliance;
  readonly image: string;
  readonly folder: string;
  readonly together: readonly Running[];
  readonly alone: Running;
}

export async function many(
  stage: Stage,
  { rounds, sizeMib }: { readonly rounds: number; readonly sizeMib: number },
): Promise<WorkReport[]> {
  stage.tell(`many: making the image and starting ${MASTERS + 1} masters`);
  const image = await makeImage(stage, 'many', Math.max(16, Math.ceil(sizeMib / MASTERS)));
  const folder = join(stage.folder, 'many');
  await mkdir(folder);
  const appliance = await startAppliance(stage, folder, await makeAuthority());
  const masters: Running[] = [];
  try {
    for (let index = 0; index < 2 * MASTERS; index++)
      await attachLun(appliance, index + 1, targetOf(folder, index));
    for (let index = 0; index < MASTERS; index++) {
      masters.push(await startMaster(stage, appliance, { masterId: `m${index}`, disks: [image] }));
    }
    const disks = Array.from({ length: MASTERS }, (_, index) => join(folder, `disk${index}.img`));
    for (const path of disks) await stage.processes.run('cp', ['--sparse=always', image, path]);
    const alone = await startMaster(stage, appliance, { masterId: 'alone', disks });
    masters.push(alone);
    const crowd = { appliance, image, folder, together: masters.slice(0, MASTERS), alone };
    const outcomes = await contest(stage, contestants(crowd), rounds, async (round) => round + 1);
    const { sizeBytes, allocatedBytes } = imageFacts(image);
    const about = { eachSizeBytes: sizeBytes, eachAllocatedBytes: allocatedBytes, masters: MASTERS, rounds };
    const report = tableOf('many', 'one appliance', about, outcomes, GOALS);
    return [{ ...report, verdicts: [...report.verdicts, ...memoryVerdicts(report.rows, MEMORY_MIB)] }];
  } finally {
    await appliance.end();
    for (const master of masters) await master.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

function contestants(crowd: Crowd): Contestant<number>[] {
  const { together, alone } = crowd;
  const each = together.map((_, index) => ({
    scenarioId: `s${index}`,
    masterId: `m${index}`,
    from: index,
    count: 1,
  }));
  const all = [{ scenarioId: 'alone', masterId: 'alone', from: MASTERS, count: MASTERS }];
  return [
    {
      name: TOGETHER,
      ready: (stage, epoch) => ready(stage, crowd, { epoch, parts: each, masters: together }),
    },
    { name: ALONE, ready: (stage, epoch) => ready(stage, crowd, { epoch, parts: all, masters: [alone] }) },
  ];
}

interface Part {
  readonly scenarioId: string;
  readonly masterId: string;
  /** Its first target, and how many disks it has. */
  readonly from: number;
  readonly count: number;
}

async function ready(
  stage: Stage,
  { appliance, image, folder }: Crowd,
  work: { readonly epoch: number; readonly parts: readonly Part[]; readonly masters: readonly Running[] },
): Promise<Ready> {
  const { epoch, parts, masters } = work;
  const { control, engine } = appliance;
  const { sizeBytes } = imageFacts(image);
  const targets = parts.flatMap(({ from, count }) =>
    Array.from({ length: count }, (_, at) => targetOf(folder, from + at)),
  );
  for (const target of targets) await makeTarget(stage, target, sizeBytes);
  for (const { scenarioId, masterId, from, count } of parts) {
    const disks: ReplicaSpec['disks'] = Array.from({ length: count }, (_, at) => ({
      diskId: `disk${at}`,
      lun: from + at + 1,
      sizeBytes,
      blank: true,
      excluded: [],
    }));
    await control.openReplica({ scenarioId, masterId, epoch, disks });
  }
  const pids = [engine.pid, ...masters.map(({ pid }) => pid)];
  const until = (states: readonly string[]) =>
    Promise.all(
      parts.map(({ scenarioId }) =>
        untilState(stage, control, scenarioId, ({ state }) => states.includes(state)),
      ),
    );
  return {
    servers: pids,
    engines: pids,
    run: async (lap) => {
      await Promise.all(parts.map(({ scenarioId }) => control.startCopy(scenarioId, OPTIONS)));
      await until(['proving', 'synchronised']);
      lap('durable');
      await until(['synchronised']);
    },
    check: async () => {
      for (const target of targets) await assertEqual(stage, image, target);
    },
    end: async () => {
      for (const { scenarioId } of parts) await control.closeReplica(scenarioId);
    },
  };
}

function targetOf(folder: string, index: number): string {
  return join(folder, 'targets', `t${index}.img`);
}

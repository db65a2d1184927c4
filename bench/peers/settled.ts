import type { Stage } from '../stage.ts';

/** The end of every peer's run: what it transferred is on the medium. Its own process, so that its time is counted. */
export async function settled(stage: Stage, target: string, lap: (name: string) => void): Promise<void> {
  lap('transferred');
  await stage.processes.run('sync', [target]);
}

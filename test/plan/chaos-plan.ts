import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.ts';
import type { Plan, Step } from '../../src/plan/plan.ts';

/**
 * A plan whose world is a folder. Each step makes one file, and fails if the file is already there: making
 * something twice is then seen. `b` makes its file through a long operation that it must not submit twice.
 */
export function chaosPlan(world: string): Plan {
  const path = (runId: string, stepId: string) => join(world, `${runId}.${stepId}`);
  const make = (runId: string, stepId: string, text: string) => {
    appendFileSync(join(world, 'log'), `make ${runId}.${stepId}\n`);
    writeFileSync(path(runId, stepId), text, { flag: 'wx' });
  };
  const found = (runId: string, stepId: string) =>
    existsSync(path(runId, stepId)) ? { text: readFileSync(path(runId, stepId), 'utf8') } : undefined;
  const simple = (id: string, more: Partial<Step> = {}): Step => ({
    id,
    title: `Make ${id}`,
    find: async ({ runId }) => found(runId, id),
    run: async ({ runId }) => {
      await systemClock.sleep(3 + Math.random() * 10);
      make(runId, id, id);
      return { text: id };
    },
    ...more,
  });
  const long = simple('b', {
    run: async ({ runId, checkpoint, save }) => {
      if (checkpoint === undefined) {
        appendFileSync(join(world, 'log'), `submit ${runId}.b\n`);
        await save({ operation: `${runId}-b` });
      }
      await systemClock.sleep(20);
      make(runId, 'b', 'b');
      return { text: 'b' };
    },
  });
  const last = simple('e', {
    run: async ({ runId, output }) => {
      const text = ['a', 'b', 'c', 'd'].map((id) => output<{ text: string }>(id).text).join('');
      make(runId, 'e', text);
      return { text };
    },
  });
  return {
    kind: 'chaos',
    title: 'Chaos',
    stages: [[simple('a')], [long, simple('c')], [simple('d', { commit: true })], [last]],
  };
}

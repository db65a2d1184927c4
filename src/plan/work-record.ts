import type { RunRecord, Step, StepRecord } from './plan.ts';

/** The runner's copy of a run's step records; it writes each change to the store before it believes it. */
export class WorkRecord {
  readonly #records = new Map<string, StepRecord>();
  readonly #write: (...records: readonly StepRecord[]) => Promise<void>;

  constructor(run: RunRecord, write: (...records: readonly StepRecord[]) => Promise<void>) {
    for (const record of run.steps) this.#records.set(record.stepId, record);
    this.#write = write;
  }

  of(step: Step): StepRecord {
    return (
      this.#records.get(step.id) ?? { stepId: step.id, title: step.title, status: 'pending', attempts: 0 }
    );
  }

  isKnown(step: Step): boolean {
    return this.#records.has(step.id);
  }

  async write(...records: readonly StepRecord[]): Promise<void> {
    await this.#write(...records);
    for (const record of records) this.#records.set(record.stepId, record);
  }

  /** Read from outside by any step; only what is done can be read. */
  output(stepId: string): unknown {
    const record = this.#records.get(stepId);
    if (record?.status !== 'done') throw new Error(`Step ${stepId} is not done, so it has no output to read`);
    return record.output;
  }
}

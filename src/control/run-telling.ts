import type { RunOptions, StepEvent } from '../plan/runner.ts';
import type { Host } from '../ports/host.ts';

/** How people hear of a run: each step, and what it says of itself, once. */
export function runTelling(host: Host): Required<Pick<RunOptions, 'onStep' | 'onProgress'>> {
  const told = new Map<string, string>();
  return {
    onStep: (event) => host.tell(stepNotice(event)),
    onProgress: (stepId, text, facts) => {
      if (facts?.passing === true) return host.tell({ kind: 'activity', id: stepId, text });
      // A step that waits says the same again and again.
      if (told.get(stepId) === text) return;
      told.set(stepId, text);
      host.tell({ kind: 'text', level: 'info', text });
    },
  };
}

function stepNotice(event: StepEvent) {
  const detail = detailOf(event);
  return {
    kind: 'step',
    id: event.stepId,
    title: event.title,
    status: event.status === 'undone' ? 'done' : event.status,
    ...(detail ? { detail } : {}),
    ...(event.ms === undefined ? {} : { ms: event.ms }),
  } as const;
}

function detailOf(event: StepEvent): string | undefined {
  if (event.status === 'undone') return 'taken back';
  if (event.status === 'skipped') return 'done before';
  if (event.error) return event.error.message;
  return event.found ? 'already there' : undefined;
}

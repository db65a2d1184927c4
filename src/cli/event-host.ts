import type { Call } from './command.ts';
import { noticePace } from './plain-host.ts';

/** With `--json`: what happens, one document a line; progress at most once a second. */
export function eventHost(call: Call): Call['host'] {
  const pace = noticePace(call.shell.clock, { progressMs: 1000, activityMs: 1000 });
  return {
    ...call.host,
    tell(notice) {
      if (!pace(notice)) return;
      const { kind, ...facts } = notice;
      call.emit(kind === 'text' && 'text' in facts ? facts : { [kind]: facts });
    },
  };
}

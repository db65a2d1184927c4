import { LagTrend } from '../control/live-figures.ts';
import type { StatusView } from '../control/status.ts';
import { type Call, Outcome } from './command.ts';
import { note } from './people.ts';
import { statusLine, statusNotices } from './status-notices.ts';

const HOME_AND_CLEAR = '\u001b[H\u001b[2J\u001b[3J';

/**
 * `status --watch`: the same again and again until Ctrl-C, which is its ordinary end. A terminal is drawn anew, a pipe
 * gets a line each time, and `--json` a document each time.
 */
export async function watchStatus(
  call: Call,
  facts: {
    readonly everyMs: number;
    look(trend: LagTrend): Promise<StatusView>;
    document(view: StatusView): unknown;
  },
): Promise<Outcome> {
  const { shell, host } = call;
  const trend = new LagTrend();
  while (!shell.signal.aborted) {
    const view = await facts.look(trend).catch((error: unknown) => {
      // Whatever was under way when the person ended it.
      if (shell.signal.aborted) return undefined;
      throw error;
    });
    if (!view || shell.signal.aborted) break;
    if (call.json) call.emit(facts.document(view));
    else if (host.interactive) draw(call, view);
    else note(call, statusLine(view, shell.clock.now()));
    await pause(call, facts.everyMs);
  }
  return new Outcome(undefined, 0);
}

function draw(call: Call, view: StatusView): void {
  call.shell.stdout.write(HOME_AND_CLEAR);
  for (const notice of statusNotices(view)) call.host.tell(notice);
  note(call, 'Ctrl-C ends this; nothing else does.');
}

async function pause({ shell }: Call, ms: number): Promise<void> {
  try {
    await shell.clock.sleep(ms, shell.signal);
  } catch (error) {
    if (!shell.signal.aborted) throw error;
  }
}

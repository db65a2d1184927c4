import { type Command, InvalidArgumentError } from 'commander';
import { isoTime, timeText } from '../clock.ts';
import { SCRUB_HOURS_MAX } from '../model/scenario.ts';
import { type Call, leaf, Outcome } from './command.ts';
import { done, listing, note, warn } from './people.ts';
import { bytesText } from './rendering.ts';
import type { Shell } from './shell.ts';

/** What can be done with a live replica: named positions, and the proof that both ends are equal. */
export function addLiveCommands(program: Command, shell: Shell): void {
  leaf(
    program,
    'bookmark <scenario> <bookmark>',
    'Names the newest consistent position of a live replica',
    shell,
    bookmark,
  );
  leaf(
    program,
    'bookmarks <scenario>',
    'Lists the positions a live replica can be brought to',
    shell,
    bookmarks,
  );
  leaf(
    program,
    'scrub <scenario>',
    'Compares both ends at one position, while replication goes on',
    shell,
    scrub,
  ).option('--every <hours>', 'not now: standby serve does it so often (1 to 8784), or off', everyHours);
}

async function bookmark(call: Call): Promise<unknown> {
  const { setBookmark } = await import('../control/bookmarks.ts');
  const [scenario = '', name = ''] = call.args;
  const made = await setBookmark(await call.context(), scenario, name);
  done(
    call,
    `Bookmark ${made.name}: position ${made.sequence}, ${timeText(made.timeMs)} by the master's clock.`,
  );
  return {
    scenario,
    bookmark: made.name,
    sequence: made.sequence,
    timeMs: made.timeMs,
    time: isoTime(made.timeMs),
  };
}

async function bookmarks(call: Call): Promise<unknown> {
  const { listBookmarks } = await import('../control/bookmarks.ts');
  const found = await listBookmarks(await call.context(), String(call.args[0]));
  const { name } = found.scenario;
  listing(call, `There is no bookmark yet: standby bookmark ${name} BOOKMARK`, {
    columns: ['bookmark', 'position', "time (master's clock)"],
    rows: found.bookmarks.map((one) => [one.name, one.sequence, timeText(one.timeMs)]),
  });
  if (found.rewindFromMs > 0)
    note(call, `Any time since ${timeText(found.rewindFromMs)} can be chosen too: --to-time`);
  return {
    scenario: name,
    bookmarks: found.bookmarks.map((one) => ({ ...one, time: isoTime(one.timeMs) })),
    rewindFromMs: found.rewindFromMs,
  };
}

function everyHours(text: string): number | 'off' {
  if (text === 'off') return text;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= SCRUB_HOURS_MAX) return value;
  throw new InvalidArgumentError(`It is a whole number of hours, 1 to ${SCRUB_HOURS_MAX}, or off.`);
}

async function scrub(call: Call): Promise<unknown> {
  const { scheduleScrubs, scrubScenario } = await import('../control/scrub.ts');
  const { every } = call.options;
  if (every !== undefined) {
    const hours = typeof every === 'number' ? every : undefined;
    const saved = await scheduleScrubs(await call.context(), String(call.args[0]), hours);
    done(
      call,
      `${saved.name} is compared ${hours === undefined ? 'by hand only' : `every ${hours} hours by standby serve`}.`,
    );
    return { scenario: saved.name, everyHours: saved.scrubEveryHours ?? null };
  }
  const { scenario, proof } = await scrubScenario(await call.context(), String(call.args[0]));
  const document = { scenario: scenario.name, ...proof, at: isoTime(proof.atMs) };
  if (proof.equal) {
    done(call, `Both ends of ${scenario.name} are equal at position ${proof.sequence}.`);
    return document;
  }
  listing(call, 'Which disks differ is not known.', {
    title: `Both ends differ at position ${proof.sequence}:`,
    columns: ['disk', 'differs', 'from byte'],
    rows: (proof.differing ?? []).map((one) => [one.diskId, bytesText(one.bytes), String(one.firstByte)]),
  });
  warn(call, `${scenario.name} must be synchronised anew: standby run ${scenario.name}`);
  return new Outcome(document, 1);
}

import { type Command, InvalidArgumentError } from 'commander';
import { inputError } from '../errors.ts';
import { optionText } from './answers.ts';
import { type Call, leaf } from './command.ts';
import { note, warn } from './people.ts';
import { bytesText } from './rendering.ts';
import type { Shell } from './shell.ts';

export function addAssessCommand(program: Command, shell: Shell): void {
  leaf(
    program,
    'assess [scenario]',
    'Watches how much is written, and says what protecting it needs',
    shell,
    assess,
  )
    .option('--disk <path>', 'a block device or an image of this machine, instead of a live scenario')
    .option('--seconds <number>', 'how long to watch', positive, 60)
    .option('--rewind-hours <number>', 'how far back the replica should be rewindable', positive, 24)
    .option('--line <megabits>', 'the line there is, in Mbit/s', positive);
}

function positive(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('It is a number above 0.');
}

/** An image is read as a whole each time. */
const LOOKS_OF_IMAGE = 4;

async function assess(call: Call): Promise<unknown> {
  const control = await import('../control/assess.ts');
  const { counter, everyMs } = await counterOf(call);
  const { line } = call.options;
  try {
    const found = await control.assess({ clock: call.shell.clock, host: call.host }, counter, {
      seconds: Number(call.options.seconds),
      everyMs,
      rewindHours: Number(call.options.rewindHours),
      ...(typeof line === 'number' ? { megabitsPerSecond: line } : {}),
    });
    tell(call, found);
    return found;
  } finally {
    await counter.close();
  }
}

async function counterOf(call: Call) {
  const disk = optionText(call, 'disk');
  const [scenario] = call.args;
  if ((disk === undefined) === (scenario === undefined)) {
    throw inputError(
      'ASSESS_WHAT',
      'One thing can be watched: a scenario, or a disk.',
      'standby assess SCENARIO, or standby assess --disk /dev/sda',
    );
  }
  if (disk !== undefined) {
    const { diskCounter } = await import('../control/disk-writes.ts');
    const counter = await diskCounter(disk);
    const isCounted = counter.how.startsWith('the sectors');
    return { counter, everyMs: isCounted ? 1000 : (Number(call.options.seconds) * 1000) / LOOKS_OF_IMAGE };
  }
  const { scenarioCounter } = await import('../control/assess.ts');
  return { counter: await scenarioCounter(await call.context(), String(scenario)), everyMs: 1000 };
}

type Assessment = import('../control/assess.ts').Assessment;

function tell(call: Call, found: Assessment): void {
  note(call, `${found.what}: ${found.how}, watched for ${found.seconds.toFixed(0)} s.`);
  const hours = found.firstSyncHours.map(
    ({ megabitsPerSecond, hours: value }) => `${hoursText(value)} at ${megabitsPerSecond} Mbit/s`,
  );
  call.host.tell({
    kind: 'table',
    columns: ['what', 'found'],
    rows: [
      [
        'Change rate',
        `${bytesText(found.bytesPerSecond)}/s on average, ${bytesText(found.peakBytesPerSecond)}/s at most`,
      ],
      [
        'Line needed',
        `${megabits(found.bitsPerSecondAtLeast)} at least, ${megabits(found.bitsPerSecondForPeaks)} to carry the peaks`,
      ],
      [
        'First synchronisation',
        `${bytesText(found.firstSyncBytes)} of ${bytesText(found.diskBytes)}: ${hours.join(', ')}`,
      ],
      ['Journal', `${bytesText(found.journalBytes)} to go back ${found.rewindHours} hours`],
    ],
  });
  if (found.verdict) note(call, found.verdict);
  if (found.seconds < 3600)
    warn(call, 'A short look says little: watch a whole business day before you buy a line.');
}

function megabits(bitsPerSecond: number): string {
  return `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s`;
}

function hoursText(hours: number): string {
  if (!Number.isFinite(hours)) return 'never';
  return hours < 1 ? `${Math.max(1, Math.round(hours * 60))} min` : `${hours.toFixed(1)} h`;
}

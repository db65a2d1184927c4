import type { PointRequest } from '../control/switchover.ts';
import { inputError } from '../errors.ts';
import { optionText } from './answers.ts';
import type { Call } from './command.ts';
import { timeOf } from './time-option.ts';

/** Where a replica is brought to, from `--to` and `--to-time`. */
export function pointOf(call: Call): Pick<PointRequest, 'point'> {
  const to = optionText(call, 'to');
  const time = optionText(call, 'toTime');
  if (to !== undefined && time !== undefined) {
    throw inputError('POINT_TWICE', '--to and --to-time do not go together.', 'Give one of them.');
  }
  if (time !== undefined) return { point: { timeMs: timeOf(time, call.shell.clock.now(), 'last') } };
  if (to === undefined) return {};
  return { point: to.trim().toLowerCase() === 'latest' ? { latest: true } : { bookmark: to.trim() } };
}

import { type Check, doubtful, error, type Finding, ok, skipped, unseen, warning, wrong } from '../check.ts';
import { bytesText, durationText, liveState } from '../replica-state.ts';

/** What an outage of some hours brings must fit. */
const HOLDS_AT_LEAST_MS = 4 * 3_600_000;

/** Journal and spool have room for the changes that were measured. */
export const applianceSpace: Check = {
  id: 'appliance-space',
  title: 'Space for changes',
  group: 'Appliance',
  moments: ['run', 'watch'],
  uses: [],
  codes: {
    JOURNAL_FAILED: error(
      'The journal of the appliance takes nothing more: full, damaged or its disk is broken.',
      'See the reason; a larger journal disk, or a new appliance.',
    ),
    JOURNAL_SHORT: warning(
      'At the measured rate the journal holds less than four hours.',
      'Use an appliance with a larger journal disk, or accept a shorter rewind.',
    ),
    SPOOL_SHORT: warning(
      'At the measured rate the spool of the master holds less than four hours of an outage.',
      'Give the engine of the master a larger spool.',
    ),
    SPACE_UNKNOWN: unseen(
      'There is no stream to measure.',
      'Nothing, for a scenario that is copied at rest; else `standby run`.',
    ),
  },
  async run(facts): Promise<readonly Finding[]> {
    const state = await liveState(facts);
    if ('nothing' in state) return [skipped('SPACE_UNKNOWN', state.nothing)];
    const { journal, stream, bytesPerSecond } = state.live;
    if (facts.moment === 'run' && (journal.state === 'damaged' || journal.state === 'full')) {
      return [ok('JOURNAL_RENEWED', `the journal is ${journal.state}; this run begins a new one`)];
    }
    if (journal.state !== 'ready') {
      const found = `The journal is ${journal.state}${journal.reason ? `: ${journal.reason}` : '.'}`;
      return [
        wrong(
          'JOURNAL_FAILED',
          found,
          'ready',
          'Give the appliance a larger journal disk, or deploy another.',
        ),
      ];
    }
    const findings: Finding[] = [];
    // A capture that compares has no spool, and needs none.
    const room = { journal: journal.limitBytes, spool: stream?.spoolLimitBytes || undefined };
    const rate = `${bytesText(bytesPerSecond)}/s`;
    const short = (bytes: number) =>
      bytesPerSecond > 0 && (bytes / bytesPerSecond) * 1000 < HOLDS_AT_LEAST_MS;
    const holds = (bytes: number) => durationText((bytes / Math.max(1, bytesPerSecond)) * 1000);
    const expected = `${durationText(HOLDS_AT_LEAST_MS)} or more`;
    if (short(room.journal)) {
      const found = `The journal of ${bytesText(room.journal)} holds ${holds(room.journal)} at ${rate}.`;
      findings.push(
        doubtful('JOURNAL_SHORT', found, expected, 'Use an appliance with a larger journal disk.'),
      );
    }
    if (room.spool !== undefined && short(room.spool)) {
      const found = `The master’s spool of ${bytesText(room.spool)} holds ${holds(room.spool)} at ${rate}.`;
      findings.push(
        doubtful('SPOOL_SHORT', found, expected, 'Give the engine of the master a larger spool.'),
      );
    }
    if (findings.length > 0) return findings;
    const used = `journal ${bytesText(journal.usedBytes)} of ${bytesText(journal.limitBytes)}`;
    return [ok('SPACE_ENOUGH', `${used} in use, changes come at ${rate}`)];
  },
};

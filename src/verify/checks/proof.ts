import { type Check, doubtful, error, type Finding, ok, skipped, unseen, warning, wrong } from '../check.ts';
import { durationText, liveState } from '../replica-state.ts';

const PROOF_AGE_MS = 7 * 86_400_000;

/** Both ends were compared by digest not long ago, and were equal. */
export const proof: Check = {
  id: 'proof',
  title: 'Proof by digests',
  group: 'Replication',
  moments: ['watch'],
  uses: [],
  codes: {
    PROOF_DIFFERS: error(
      'The last comparison of master and replica found a difference.',
      '`standby run`: what differs is copied again.',
    ),
    PROOF_OLD: warning('Master and replica were last compared over a week ago.', '`standby scrub`.'),
    PROOF_NONE: warning('Master and replica of a live scenario were never compared.', '`standby scrub`.'),
    PROOF_UNKNOWN: unseen('Nothing has been copied, or the appliance did not answer.', '`standby run`.'),
  },
  async run(facts): Promise<readonly Finding[]> {
    const { scenario, status, clock } = facts;
    const state = await liveState(facts);
    if ('nothing' in state) {
      if (!status?.digests?.length) return [skipped('PROOF_UNKNOWN', state.nothing)];
      return [
        ok('PROVEN', `both ends agreed on ${status.digests.length} digests at the end of the last copy`),
      ];
    }
    const { proof: last } = state.live;
    const next = `standby scrub ${scenario.name}`;
    if (!last)
      return [doubtful('PROOF_NONE', 'Both ends were never compared.', 'a proof of this week', next)];
    if (!last.equal) {
      const where = (last.differing ?? []).map((one) => `${one.diskId} (${one.bytes} bytes)`).join(', ');
      const found = `Both ends differ: ${where || 'where, the appliance does not tell'}.`;
      return [wrong('PROOF_DIFFERS', found, 'equal', `standby run ${scenario.name}`)];
    }
    const ageMs = clock.now() - last.atMs;
    if (ageMs <= PROOF_AGE_MS) return [ok('PROVEN', `both ends were equal ${durationText(ageMs)} ago`)];
    const found = `Both ends were last compared ${durationText(ageMs)} ago.`;
    return [doubtful('PROOF_OLD', found, 'a proof of this week', next)];
  },
};

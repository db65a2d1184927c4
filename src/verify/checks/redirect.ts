import { isStandbyError } from '../../errors.ts';
import {
  type Check,
  type CheckFacts,
  doubtful,
  error,
  type Finding,
  ok,
  type RecordLook,
  type ScriptLook,
  skipped,
  unseen,
  warning,
  wrong,
} from '../check.ts';

/** Clients keep the old address for so long after a switchover. */
const TTL_SECONDS_MAX = 300;

/** People are sent to the standby: the record exists, may be changed, and the scripts can be run. */
export const redirect: Check = {
  id: 'redirect',
  title: 'Redirection of users',
  group: 'Redirect',
  // Not at switchover: a DNS server that went down with the site must not keep the standby from being built.
  moments: ['create', 'run'],
  uses: [],
  codes: {
    REDIRECT_NONE: unseen(
      'The scenario names no DNS record and no script.',
      'Plan how users get to the new address: after a switchover it must be changed by hand.',
    ),
    RECORD_UNREACHABLE: error(
      'The DNS server gives no answer that can be used, so nobody knows whether the record could be changed.',
      'Check the address of the DNS server, and port 53 (TCP and UDP) between it and this machine.',
    ),
    RECORD_MISSING: warning(
      'Nobody uses the name yet: there is no such record. A switchover would make it.',
      'Check the name and its zone, or accept it.',
    ),
    RECORD_TTL_LONG: warning(
      'Clients keep the old address for longer than five minutes after a switchover.',
      'Give the record a shorter TTL now; it must be short before the outage.',
    ),
    RECORD_UPDATE_REFUSED: error(
      'A harmless update (the record replaced by itself) was refused: the zone, the key or the rules of the server.',
      'Check the zone, the key (name, algorithm, secret) and what the server lets it update.',
    ),
    SCRIPT_MISSING: error('The program of a script is not on this machine.', 'Correct its path.'),
    SCRIPT_NOT_RUNNABLE: error(
      'The program of a script exists, but this user may not run it.',
      'chmod +x, or another owner.',
    ),
  },
  async run({ redirect: given, scenario }: CheckFacts): Promise<readonly Finding[]> {
    const { record, scripts = [] } = given ?? {};
    const findings = [
      ...(record ? await judgeRecord(record) : []),
      ...(await Promise.all(scripts.map((script) => judgeScript(script, scenario.name)))),
    ];
    if (findings.length > 0) return findings;
    return [skipped('REDIRECT_NONE', 'the scenario names no DNS record and no script to redirect users')];
  },
};

async function judgeRecord(record: RecordLook): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  try {
    const { addresses, ttlSeconds } = await record.current();
    if (addresses.length === 0) {
      const found = `${record.title}: there is no such record.`;
      const next = 'Check the name and its zone; a switchover would make the record.';
      findings.push(doubtful('RECORD_MISSING', found, 'a record', next));
    } else if (ttlSeconds > TTL_SECONDS_MAX) {
      const found = `${record.title} is ${addresses.join(', ')} with a TTL of ${ttlSeconds} s.`;
      const next = `Give it a TTL of ${TTL_SECONDS_MAX} s or less.`;
      findings.push(doubtful('RECORD_TTL_LONG', found, `${TTL_SECONDS_MAX} s or less`, next));
    }
    await record.rehearse();
    if (findings.length > 0) return findings;
    const now = `${addresses.join(', ')}, TTL ${ttlSeconds} s`;
    return [ok('RECORD_CAN_BE_CHANGED', `${record.title}: ${now}; a test update was taken`)];
  } catch (failure) {
    if (!isStandbyError(failure) || failure.kind === 'cancelled') throw failure;
    const unreachable = failure.code === 'DNS_UNREACHABLE';
    const code = unreachable ? 'RECORD_UNREACHABLE' : 'RECORD_UPDATE_REFUSED';
    const expected = unreachable ? 'an answer' : 'a test update that is taken';
    const next = failure.next ?? 'Check the DNS server and its key.';
    // Where there is no zone, there is no record either: that is one fault.
    const others = failure.code === 'DNS_ZONE_MISSING' ? [] : findings;
    return [...others, wrong(code, failure.message, expected, next)];
  }
}

async function judgeScript({ phase, program, look }: ScriptLook, scenario: string): Promise<Finding> {
  const found = await look();
  const next = `Put it there, or take the script off: standby scenario edit ${scenario}`;
  if (found === 'missing')
    return wrong(
      'SCRIPT_MISSING',
      `The script ${program} (${phase}) does not exist here.`,
      'a program',
      next,
    );
  if (found === 'not-runnable') {
    const text = `The script ${program} (${phase}) may not be run by this user.`;
    return wrong('SCRIPT_NOT_RUNNABLE', text, 'a program that may be run', `chmod +x ${program}`);
  }
  return ok('SCRIPT_RUNNABLE', `${program} (${phase})`);
}

import { StandbyError } from '../../src/errors.ts';
import type { RecordLook, ScriptLook, VerifyFacts } from '../../src/verify/check.ts';
import { facts, type PlantedFault } from './planted-facts.ts';

function record(addresses: readonly string[], ttlSeconds = 60, refusal?: string): RecordLook {
  return {
    title: 'A record www.example.com',
    current: async () => ({ addresses, ttlSeconds }),
    rehearse: async () => {
      if (refusal) throw new StandbyError({ code: refusal, what: 'The server refused.' });
    },
  };
}

const script = (found: Awaited<ReturnType<ScriptLook['look']>>): ScriptLook => ({
  phase: 'after-boot',
  program: '/opt/tell-everybody',
  look: async () => found,
});

function given(redirect: VerifyFacts['redirect']): PlantedFault['given'] {
  return () => facts(redirect ? { redirect } : {});
}

const HERE = ['192.168.0.10'];

export const faultsOfRedirect: readonly PlantedFault[] = [
  {
    fault: 'a record that can be changed and a script that can be run',
    found: [],
    given: given({ record: record(HERE), scripts: [script('runnable')] }),
  },
  {
    fault: 'a record that does not exist',
    found: ['warning RECORD_MISSING'],
    given: given({ record: record([], 0) }),
  },
  {
    fault: 'a record that clients keep for a day',
    found: ['warning RECORD_TTL_LONG'],
    given: given({ record: record(HERE, 86_400) }),
  },
  {
    fault: 'a record that clients keep for a day and that may not be changed',
    found: ['warning RECORD_TTL_LONG', 'error RECORD_UPDATE_REFUSED'],
    given: given({ record: record(HERE, 86_400, 'DNS_REFUSED') }),
  },
  {
    fault: 'a zone that does not exist',
    found: ['error RECORD_UPDATE_REFUSED'],
    given: given({ record: record([], 0, 'DNS_ZONE_MISSING') }),
  },
  {
    fault: 'a DNS server that does not answer',
    found: ['error RECORD_UNREACHABLE'],
    given: given({ record: record(HERE, 60, 'DNS_UNREACHABLE') }),
  },
  {
    fault: 'a script that is not there and one that may not be run',
    found: ['error SCRIPT_MISSING', 'error SCRIPT_NOT_RUNNABLE'],
    given: given({ scripts: [script('missing'), script('not-runnable')] }),
  },
];

/**
 * Puts the A record back that a switchover has set, before the standby stops: nobody is to be sent to a VM that is not
 * there. Somebody else's value is left alone. A DNS server that gives no answer does not keep the VM running: it is said,
 * and the record stays known, so that the next stop tries again. Doing it again is harmless.
 */
import { isStandbyError, messageOf } from '../../errors.ts';
import type { RedirectedRecord } from '../../model/redirect.ts';
import type { Step } from '../../plan/plan.ts';
import type { Work } from '../work.ts';
import { putBack, redirectActions, redirectOf } from './redirect-clients.ts';

export interface PutBack {
  readonly outcome: 'put-back' | 'changed-by-others' | 'not-possible';
}

export function redirectBackStep(work: Work, record: RedirectedRecord): Step<PutBack> {
  const old = record.before.addresses.join(', ') || 'no record';
  return {
    id: 'redirect-back',
    title: `Put ${record.name} back to ${old}`,
    ...(work.scenario.redirect ? { actions: redirectActions(work.scenario.redirect) } : {}),
    async run() {
      try {
        const outcome = (await putBack(await redirectOf(work), record)) ? 'put-back' : 'changed-by-others';
        await work.setStatus({ redirected: undefined });
        await work.event({
          level: outcome === 'put-back' ? 'info' : 'warning',
          code: 'REDIRECTED_BACK',
          text:
            outcome === 'put-back'
              ? `${record.name} is ${old} again.`
              : `${record.name} is no longer what the switchover made it; it was left alone (it was ${old} before).`,
        });
        return { outcome };
      } catch (error) {
        if (!isStandbyError(error)) throw error;
        await work.event({
          level: 'warning',
          code: 'REDIRECT_STAYS',
          text: `${record.name} still leads to the standby and could not be put back to ${old}: ${messageOf(error)}`,
        });
        return { outcome: 'not-possible' };
      }
    },
  };
}

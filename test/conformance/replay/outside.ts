import { behaviours, providerRoutes } from '../../../infra/local/behaviours/index.ts';
import { type Target, typeOf } from './arm-path.ts';
import { errorCodeOf } from './compare.ts';
import { textAt } from './json.ts';
import type { Answer } from './local-client.ts';
import type { Interaction } from './recordings.ts';

/**
 * What an answer of Azure owed to something that is not in the recording: a passing failure, or the subscription of
 * whoever recorded it. Such a request is not played: Azure changed nothing, so neither may Local Azure.
 */
const OF_THE_SUBSCRIPTION = [
  'AuthorizationFailed',
  'LinkedAuthorizationFailed',
  'MissingSubscriptionRegistration',
  'SubscriptionNotRegisteredForFeature',
  'FeatureNotEnabled',
  'ReadOnlyDisabledSubscription',
  'RequestDisallowedByPolicy',
  'SkuNotAvailable',
  'QuotaExceeded',
];

export function causeElsewhere(each: Interaction): string | undefined {
  if (each.outside !== undefined) return each.outside;
  if (each.status === 429 || each.status >= 500) return 'met a passing failure of Azure';
  if (each.status < 400) return undefined;
  const code = errorCodeOf(each.body);
  const message = textAt(each.body, 'error.message') ?? '';
  const isQuota = code === 'OperationNotAllowed' && /\bquota\b/i.test(message);
  const isFeature = /subscription is not (registered|enabled)|feature .* is not (registered|enabled)/i.test(
    message,
  );
  const foreign = [...message.matchAll(/\/providers\/([\w.]+\/\w+)\/[^/\s]/g)].find(
    ([, type = '']) => typeOf(type) === undefined,
  );
  if (foreign !== undefined) return `was refused because of a ${foreign[1]}, which is not of Local Azure`;
  const isOfSubscription = OF_THE_SUBSCRIPTION.includes(code) || isQuota || isFeature;
  return isOfSubscription ? `was refused for what the recorded subscription may (${code})` : undefined;
}

/** Local Azure says by 501 what it does not do, by name: that is outside of what is compared, and counted as such. */
export function declinedBy(answer: Answer): string | undefined {
  if (answer.status !== 501 || errorCodeOf(answer.body) !== 'NotImplemented') return undefined;
  const message = textAt(answer.body, 'error.message') ?? '';
  const what = /does not do this: (.*)\. What it does is in /.exec(message)?.[1] ?? message;
  return `501 by name: ${what.replace(/ \(api-version [^)]*\)/, '')}`;
}

/** Path and query; an api-version that Local Azure does not know becomes its newest, unless it is what was refused. */
export function withKnownVersion(each: Interaction, target: Target): string {
  const whole = `${each.url.pathname}${each.url.search}`;
  const isAboutVersions = /ApiVersion|NoRegisteredProviderFound/i.test(errorCodeOf(each.body));
  const known = isAboutVersions ? undefined : versionsOf(target);
  const given = each.url.searchParams.get('api-version')?.toLowerCase();
  if (known === undefined || given === undefined || known.includes(given)) return whole;
  return whole.replace(/([?&]api-version=)[^&]*/i, `$1${known[0] ?? given}`);
}

function versionsOf(target: Target): readonly string[] | undefined {
  const behaviour = behaviours.find((each) => each.type === target.type);
  if (behaviour !== undefined) return behaviour.apiVersions;
  return providerRoutes.find((each) => target.operation.endsWith(` ${each.path}`))?.apiVersions;
}

import { isObject, textAt } from './json.ts';
import type { Answer } from './local-client.ts';
import type { Interaction } from './recordings.ts';

/**
 * What must be the same: the status, which headers of a long-running operation there are and of what kind, the shape of
 * a poll's body, the provisioning state, the error code. Names, times, ids, texts and rate limits are not compared,
 * nor is Retry-After: the recorders took it out.
 */
export interface Difference {
  readonly aspect: 'status' | 'headers' | 'poll body' | 'provisioning state' | 'error code' | 'not sent';
  readonly recorded: string;
  readonly answered: string;
}

export function compare(recorded: Interaction, answer: Answer, isPoll: boolean): Difference[] {
  const found: Difference[] = [];
  const note = (aspect: Difference['aspect'], left: string, right: string) => {
    if (left !== right) found.push({ aspect, recorded: left, answered: right });
  };
  note('status', String(recorded.status), String(answer.status));
  if (!isPoll) note('headers', operationHeaders(recorded.headers), operationHeaders(answer.headers));
  if (isPoll) note('poll body', pollShape(recorded.body), pollShape(answer.body));
  note('provisioning state', stateOf(recorded.body), stateOf(answer.body));
  note('error code', errorCodeOf(recorded.body), errorCodeOf(answer.body));
  return found;
}

/** `azure-asyncoperation:operations, location:operations+monitor` */
function operationHeaders(headers: Readonly<Record<string, string>>): string {
  return ['azure-asyncoperation', 'location']
    .flatMap((name) => {
      const value = headers[name];
      if (value === undefined) return [];
      if (!URL.canParse(value)) return [`${name}:?`];
      const url = new URL(value);
      const word = url.pathname.split('/').at(-2)?.toLowerCase() ?? '';
      return [`${name}:${word}${url.searchParams.has('monitor') ? '+monitor' : ''}`];
    })
    .join(', ');
}

/** The names at the top of a poll's body, and whether it carries an output. What is null is not there. */
function pollShape(body: unknown): string {
  if (!isObject(body)) return body === undefined ? 'empty' : typeof body;
  // A Location that has ended gives the resource itself, or what an action gives back.
  const isStatus = typeof body.status === 'string' && body.id === undefined;
  if (!isStatus)
    return textAt(body, 'id') === undefined ? `{${Object.keys(body).sort().join()}}` : 'a resource';
  const names = Object.keys(body).filter((name) => !isEmpty(body[name]));
  const properties = isObject(body.properties) ? body.properties : {};
  return `{${names.sort().join()}}${properties.output === undefined ? '' : ' with output'}`;
}

function isEmpty(value: unknown): boolean {
  return value === null || value === undefined || (isObject(value) && Object.keys(value).length === 0);
}

function stateOf(body: unknown): string {
  return textAt(body, 'properties.provisioningState') ?? textAt(body, 'status') ?? '';
}

export function errorCodeOf(body: unknown): string {
  return textAt(body, 'error.code') ?? '';
}

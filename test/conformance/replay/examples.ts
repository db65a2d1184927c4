import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Difference } from './compare.ts';
import { errorCodeOf } from './compare.ts';
import { isObject, type JsonObject, mapStrings, objectsAt, textAt } from './json.ts';
import type { Answer } from './local-client.ts';
import type { Interaction, Recording } from './recordings.ts';

/**
 * The `x-ms-examples` of a folder of specs, as recordings of one request each: names get rid of their brackets, each
 * example has a resource group of its own, and what it stands on is put there first as for any recording. Accepted is
 * an answer with one of the statuses that the example shows.
 */
export interface Example extends Interaction {
  readonly operationId: string;
  readonly accepted: readonly number[];
}

/** Examples that leave out a state without which nobody accepts them, Azure neither. By the names of their files. */
const INCOMPLETE: Readonly<Record<string, string>> = {
  VirtualMachine_Generalize: 'a VM that was stopped before',
  VirtualMachine_SimulateEviction: 'a VM of priority Spot',
  VirtualMachine_PerformMaintenance_MaximumSet_Gen: 'a VM that waits for maintenance',
  VirtualMachine_PerformMaintenance_MinimumSet_Gen: 'a VM that waits for maintenance',
  VirtualMachine_AttachDetachDataDisks_MinimumSet_Gen: 'a VM with the disk that is detached',
  VirtualMachine_Update_DetachDataDiskUsingToBeDetachedProperty: 'a VM with the NIC that the request names',
  VirtualMachine_Update_ForceDetachDataDisk: 'a VM with the NIC that the request names',
  VirtualNetworkCheckIPAddressAvailability: 'a subnet that holds the address',
  Disk_Create_PerformancePlus: 'the size of the upload, which the spec demands',
};

const SUBSCRIPTION = '00000000-0000-0000-0000-000000000000';

/** One recording for each spec that has any; older versions of a spec that is there twice are left out. */
export function readExamples(folder: string): Recording[] {
  const newest = new Map<string, string>();
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    if (!file.endsWith('.json') || /(^|\/)(examples|common-types)\//.test(file)) continue;
    newest.set(file.replace(/\/(stable|preview)\/[^/]+\//, '/'), file);
  }
  return [...newest.values()].flatMap((file) => {
    const interactions = examplesOf(path.join(folder, file));
    return interactions.length === 0 ? [] : [{ name: path.basename(file, '.json'), interactions }];
  });
}

function examplesOf(file: string): Example[] {
  const spec: unknown = JSON.parse(readFileSync(file, 'utf8'));
  const paths = isObject(spec) && isObject(spec.paths) ? spec.paths : {};
  return Object.entries(paths).flatMap(([template, methods]) =>
    Object.entries(isObject(methods) ? methods : {}).flatMap(([method, operation]) => {
      const listed = isObject(operation) ? operation['x-ms-examples'] : undefined;
      return Object.values(isObject(listed) ? listed : {}).flatMap((entry) => {
        const reference = textAt(entry, '$ref');
        // Specs that others only refer to came without their examples.
        const place = path.join(path.dirname(file), reference ?? '');
        if (reference === undefined || !existsSync(place)) return [];
        const example: unknown = JSON.parse(readFileSync(place, 'utf8'));
        const name = path.basename(reference, '.json');
        return [exampleOf(method.toUpperCase(), template, operation as JsonObject, example, name)];
      });
    }),
  );
}

function exampleOf(
  method: string,
  template: string,
  operation: JsonObject,
  example: unknown,
  name: string,
): Example {
  const given = isObject(example) && isObject(example.parameters) ? example.parameters : {};
  const group = `${name.replace(/[^A-Za-z0-9]+/g, '-')}-${textAt(operation, 'operationId') ?? ''}`.slice(
    0,
    85,
  );
  const inPath = template.replace(/\{(\w+)\}/g, (_, parameter: string) => {
    if (/^subscriptionId$/i.test(parameter)) return SUBSCRIPTION;
    if (/^resourceGroupName$/i.test(parameter)) return group;
    const value = plainName(String(given[parameter] ?? parameter));
    // One name for all of Azure.
    if (parameter === 'accountName') return `${value.slice(0, 14)}${digestOf(group)}`;
    return /^location$/i.test(parameter) && !/^[a-z0-9]{3,}$/i.test(value) ? 'eastus' : value;
  });
  const url = new URL(inPath, 'https://management.azure.com');
  const parameters = objectsAt(operation, 'parameters');
  for (const [parameter, value] of Object.entries(given)) {
    const isQuery = parameters.some((each) => each.in === 'query' && each.name === parameter);
    if (isQuery || parameter === 'api-version') url.searchParams.set(parameter, String(value));
  }
  const bodyName = textAt(
    parameters.find((each) => each.in === 'body'),
    'name',
  );
  const body = bodyName === undefined ? undefined : given[bodyName];
  const answers = isObject(example) && isObject(example.responses) ? example.responses : {};
  const accepted = Object.keys(answers).map(Number);
  const status = [201, 202, 200, 204].find((each) => accepted.includes(each)) ?? accepted[0] ?? 200;
  const shown = isObject(answers[String(status)]) ? (answers[String(status)] as JsonObject).body : undefined;
  return {
    method,
    url,
    operationId: textAt(operation, 'operationId') ?? '',
    requestHeaders: {},
    requestBody: body === undefined ? undefined : inGroup(body, group),
    status,
    accepted,
    ...(INCOMPLETE[name] === undefined ? {} : { outside: `leaves out ${INCOMPLETE[name]}` }),
    headers: {},
    body: ['GET', 'PUT', 'PATCH'].includes(method) ? inGroup(shown, group) : undefined,
  };
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

function plainName(text: string): string {
  return text.replace(/[{}<>]/g, '').replace(/\s+/g, '-');
}

/** Ids lie in the example's own group and subscription. */
function inGroup(body: unknown, group: string): unknown {
  return mapStrings(body, (text) => {
    if (/^\{[^{}]+\}$/.test(text)) return plainName(text);
    if (!/^\/?subscriptions\//i.test(text)) return text;
    return plainName(text)
      .replace(/^\/?subscriptions\/[^/]+/i, `/subscriptions/${SUBSCRIPTION}`)
      .replace(/\/resourceGroups\/[^/]+/i, `/resourceGroups/${group}`);
  });
}

/** For `replay`: only whether the request is accepted; what is answered is judged elsewhere. */
export function isAccepted(each: Interaction, answer: Answer): Difference[] {
  const { accepted = [each.status] } = each as Partial<Example>;
  if (accepted.includes(answer.status)) return [];
  const text = `${answer.status} ${errorCodeOf(answer.body)} ${textAt(answer.body, 'error.message') ?? ''}`;
  return [{ aspect: 'status', recorded: accepted.join(' or '), answered: text.trim() }];
}

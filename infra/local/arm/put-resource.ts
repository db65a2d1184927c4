import type { Fault } from '../faults.ts';
import { ArmError, notImplemented } from './arm-error.ts';
import type { Behaviour, Embed, Put, Resource } from './behaviour.ts';
import { checkLocation, checkName, checkTags } from './checks.ts';
import type { Core } from './core.ts';
import { isObject, type Json, type JsonObject, mergePatch, objectsAt, textAt } from './json.ts';
import type { OperationShape } from './operation-shape.ts';
import type { OperationRecord } from './operations.ts';
import { etagOf, presentResource } from './present.ts';
import { keyOf, parentIdOf, parseResourceId } from './resource-id.ts';

/**
 * Accepts a PUT or PATCH: checks, stores the resource with its children and its operation, all in one
 * transaction. Killed before the commit: nothing happened. After: the operation goes on at the next start.
 */
export interface PutFacts {
  readonly id: string;
  readonly name: string;
  readonly resourceGroup: string;
  readonly behaviour: Behaviour;
  readonly method: 'PUT' | 'PATCH';
  readonly body: JsonObject;
  readonly apiVersion: string;
  readonly action: string;
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
}

export interface Accepted {
  readonly record: OperationRecord;
  readonly isNew: boolean;
  /** The resource right after acceptance, as the answer shows it. */
  readonly shown: JsonObject;
}

export function acceptPut(core: Core, facts: PutFacts): Accepted {
  return core.state.transaction(() => {
    const existing = core.graph.get(facts.id);
    checkConditions(facts, existing);
    const parent = requireParent(core, facts);
    const put = makePut(core, facts, existing, parent);
    requireKnownReferences(core, facts);
    facts.behaviour.beforePut?.(core.context, put);
    const shape = shapeOf(facts, put);
    const usual = existing === undefined && createsSlowly(shape) ? 'Creating' : 'Updating';
    const state = shape?.settled ? 'Succeeded' : usual;
    const saved = core.graph.save({ ...put.resource, provisioningState: state });
    for (const embed of facts.behaviour.embeds ?? []) putChildren(core, facts, saved, embed);
    const record = acceptOperation(core, facts, put, shape, saved);
    return {
      record,
      isNew: existing === undefined,
      shown: presentResource(core.context, core.registry, saved, {
        query: new URLSearchParams(),
        from: 'put',
      }),
    };
  });
}

function acceptOperation(
  core: Core,
  facts: PutFacts,
  put: Put,
  shape: OperationShape | undefined,
  saved: Resource,
): OperationRecord {
  const verb = put.existing === undefined ? 'create' : 'update';
  const fault = takeOperationFault(core, facts.action);
  return core.operations.accept({
    kind: 'put',
    resourceId: saved.id,
    verb,
    action: facts.action,
    location: saved.location ?? put.parent?.location ?? core.groups.get(facts.resourceGroup)?.location ?? '',
    ...(shape === undefined ? {} : { shape }),
    apiVersion: facts.apiVersion,
    dueAtMs:
      core.context.clock.now() +
      core.latency.durationMs(facts.behaviour, verb, shape) +
      (fault?.delayMs ?? 0),
    ...failWithOf(fault),
    carry: put.carry,
  });
}

/** A fault that spoils the operation, not the answer. */
export function takeOperationFault(core: Core, action: string): Fault | undefined {
  return core.faults.take(
    action,
    (fault) =>
      fault.error === 'slow' ||
      (/^[A-Za-z]/.test(fault.error) && !isWireFault(fault) && fault.status === undefined),
  );
}
export function isWireFault(fault: Fault): boolean {
  return ['drop', 'drop-after', 'poll', 'slow'].includes(fault.error);
}
export function failWithOf(fault: Fault | undefined): Pick<OperationRecord, 'failWith'> {
  if (fault === undefined || fault.error === 'slow') return {};
  return { failWith: { code: fault.error, message: fault.message ?? messageOfFault(fault.error) } };
}
export function messageOfFault(code: string): string {
  if (code === 'AllocationFailed') {
    return (
      'Allocation failed. We do not have sufficient capacity for the requested VM size in this region. Read more ' +
      'about improving likelihood of allocation success at http://aka.ms/allocation-guidance'
    );
  }
  return `${code}: a fault of Local Azure, on order.`;
}

/** What Local Azure does not have cannot be referred to: leaving it out would look like a success. */
function requireKnownReferences(core: Core, facts: PutFacts): void {
  const { subscriptionId } = core.context.settings;
  const look = (value: Json | undefined): void => {
    if (Array.isArray(value)) for (const entry of value) look(entry);
    if (!isObject(value)) return;
    for (const [name, inner] of Object.entries(value)) {
      const found = typeof inner === 'string' && /id$/i.test(name) ? parseResourceId(inner) : undefined;
      const isOurs = found?.subscriptionId.toLowerCase() === subscriptionId.toLowerCase();
      const isKnown = core.registry.behaviours.some(({ type }) =>
        `${found?.type}/`.toLowerCase().startsWith(`${type}/`.toLowerCase()),
      );
      if (found !== undefined && isOurs && !isKnown)
        throw notImplemented(`a reference to a ${found.type} (${name})`);
      look(inner);
    }
  };
  look(facts.body);
}

function shapeOf(facts: PutFacts, put: Put): OperationShape | undefined {
  const { behaviour } = facts;
  const { patchShape } = behaviour;
  if (facts.method === 'PATCH' && patchShape !== undefined)
    return patchShape === 'now' ? undefined : patchShape;
  return typeof behaviour.putShape === 'function' ? behaviour.putShape(put) : behaviour.putShape;
}

/** Compute's VMs and storage accounts show `Creating`; disks and Microsoft.Network show `Updating` from the start. */
function createsSlowly(shape: OperationShape | undefined): boolean {
  if (shape === undefined) return false;
  return shape.poll === 'location' || (shape.path === 'operations' && shape.times);
}

function checkConditions(facts: PutFacts, existing: Resource | undefined): void {
  if (existing === undefined && facts.method === 'PATCH') {
    throw new ArmError(
      404,
      'ResourceNotFound',
      `The Resource '${facts.behaviour.type}/${facts.name}' under resource group '${facts.resourceGroup}' was not found. ` +
        'For more details please go to https://aka.ms/ARMResourceNotFoundFix',
    );
  }
  if (existing?.provisioningState === 'Deleting') {
    throw new ArmError(409, 'Conflict', `The resource '${existing.id}' is being deleted.`);
  }
  const refused =
    (facts.ifNoneMatch === '*' && existing !== undefined) ||
    (facts.ifMatch !== undefined &&
      (existing === undefined || (facts.ifMatch !== '*' && facts.ifMatch !== etagOf(existing))));
  if (refused) {
    throw new ArmError(
      412,
      'PreconditionFailed',
      `The condition of the request on '${facts.id}' is not met.`,
    );
  }
}

function requireParent(core: Core, facts: PutFacts): Resource | undefined {
  const parentId = parentIdOf(facts.id);
  if (parentId === undefined) return undefined;
  const parent = core.graph.get(parentId);
  if (parent !== undefined && parent.provisioningState !== 'Deleting') return parent;
  throw new ArmError(
    404,
    'ParentResourceNotFound',
    `Failed to perform 'write' on resource(s) of type '${facts.behaviour.type.split('/').slice(1).join('/')}', because ` +
      `the parent resource '${parentId}' could not be found.`,
  );
}

const HEADS = ['id', 'name', 'type', 'location', 'tags', 'properties', 'etag', 'systemData'];
/** ARM keeps these; a client that sends back what it read changes nothing. */
const READ_ONLY_TOP = ['managedBy', 'managedByExtended'];

function makePut(
  core: Core,
  facts: PutFacts,
  existing: Resource | undefined,
  parent: Resource | undefined,
): Put {
  const { behaviour } = facts;
  if (existing === undefined) checkName(behaviour, facts.name);
  const body = facts.method === 'PUT' ? facts.body : patchedBody(facts, existing);
  const properties = { ...(isObject(body.properties) ? body.properties : {}) };
  delete properties.provisioningState;
  for (const embed of behaviour.embeds ?? []) delete properties[embed.property];
  const top = Object.fromEntries(
    Object.entries(body).filter(([name]) => !HEADS.includes(name) && !READ_ONLY_TOP.includes(name)),
  );
  for (const name of READ_ONLY_TOP) {
    if (existing?.top[name] !== undefined) top[name] = existing.top[name];
  }
  const location = behaviour.tracked
    ? checkLocation(core.context.settings, behaviour, body.location, existing, facts)
    : undefined;
  return {
    method: facts.method,
    apiVersion: facts.apiVersion,
    body,
    ...(existing === undefined ? {} : { existing }),
    ...(parent === undefined ? {} : { parent }),
    carry: {},
    resource: {
      id: existing?.id ?? facts.id,
      name: existing?.name ?? facts.name,
      type: behaviour.type,
      ...(location === undefined ? {} : { location }),
      tags: behaviour.tracked ? checkTags(body.tags) : {},
      top,
      properties,
      hidden: existing?.hidden ?? {},
      provisioningState: 'Updating',
      createdAtMs: existing?.createdAtMs ?? core.context.clock.now(),
      version: existing?.version ?? 0,
    },
  };
}

/** Tags are replaced as a whole, as Compute and Network do; everything else is a merge patch. */
function patchedBody(facts: PutFacts, existing: Resource | undefined): JsonObject {
  if (existing === undefined) return facts.body;
  const { tags: _tags, ...rest } = facts.body;
  const before: JsonObject = {
    ...existing.top,
    ...(existing.location === undefined ? {} : { location: existing.location }),
    properties: existing.properties,
  };
  const merged = mergePatch(before, rest) as JsonObject;
  return { ...merged, tags: facts.body.tags ?? { ...existing.tags } };
}

function putChildren(core: Core, facts: PutFacts, parent: Resource, embed: Embed): void {
  const behaviour = core.registry.find(embed.type);
  if (behaviour === undefined) throw new Error(`${parent.type} embeds ${embed.type}, which is not listed.`);
  const given = isObject(facts.body.properties) ? facts.body.properties[embed.property] : undefined;
  const isKept = given === undefined && (embed.whenAbsent === 'keep' || facts.method === 'PATCH');
  if (isKept) return;
  const wanted = objectsAt(facts.body, `properties.${embed.property}`).map((body) => {
    const name = textAt(body, 'name');
    if (name === undefined) {
      throw new ArmError(
        400,
        'InvalidRequestFormat',
        `An entry of ${embed.property} has no name.`,
        `properties.${embed.property}`,
      );
    }
    return { name, body, id: `${parent.id}/${embed.type.split('/').at(-1)}/${name}` };
  });
  const keys = wanted.map((child) => keyOf(child.id));
  const twice = wanted.find((child, index) => keys.indexOf(keyOf(child.id)) !== index);
  if (twice)
    throw new ArmError(
      400,
      'DuplicateResourceName',
      `There are two entries named '${twice.name}' in ${embed.property}.`,
    );
  for (const child of core.graph.childrenOf(parent.id, embed.type)) {
    if (keys.includes(keyOf(child.id))) continue;
    behaviour.beforeDelete?.(core.context, child, {
      query: new URLSearchParams(),
      wholeGroup: false,
      carry: {},
    });
    core.graph.remove(child.id);
  }
  for (const child of wanted) {
    const existing = core.graph.get(child.id);
    const put = makePut(
      core,
      { ...facts, behaviour, method: 'PUT', id: child.id, name: child.name, body: child.body },
      existing,
      parent,
    );
    behaviour.beforePut?.(core.context, put);
    const provisioningState = parent.provisioningState === 'Succeeded' ? 'Succeeded' : 'Updating';
    core.graph.save({ ...put.resource, provisioningState });
  }
}

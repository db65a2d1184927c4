import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { targetOf } from '../replay/arm-path.ts';
import { isObject, objectsAt, textAt } from '../replay/json.ts';
import { BICEP_FOLDER } from '../shared-data.ts';
import type { Finding } from './oav-judge.ts';
import type { Exchange } from './traffic.ts';

/** Bodies against Microsoft's Bicep types of the newest api-versions, which close every object and every list of words. */
export interface BicepJudge {
  judge(exchange: Exchange): Finding[];
}

const SOURCES: Readonly<Record<string, string>> = {
  'microsoft.compute/virtualmachines': 'compute_1/microsoft.compute/2026-04-01',
  'microsoft.compute/disks': 'compute_1/microsoft.compute/2026-03-02',
  'microsoft.compute/snapshots': 'compute_1/microsoft.compute/2026-03-02',
  'microsoft.network/networkinterfaces': 'network/microsoft.network/2025-09-01',
  'microsoft.network/virtualnetworks': 'network/microsoft.network/2025-09-01',
  'microsoft.network/virtualnetworks/subnets': 'network/microsoft.network/2025-09-01',
  'microsoft.network/networksecuritygroups': 'network/microsoft.network/2025-09-01',
  'microsoft.network/networksecuritygroups/securityrules': 'network/microsoft.network/2025-09-01',
  'microsoft.network/publicipaddresses': 'network/microsoft.network/2025-09-01',
  'microsoft.storage/storageaccounts': 'storage/microsoft.storage/2025-08-01',
};

interface BicepType {
  readonly $type: string;
  readonly name?: string;
  readonly value?: string;
  readonly body?: Ref;
  readonly itemType?: Ref;
  readonly elements?: readonly Ref[];
  readonly properties?: Readonly<Record<string, { readonly type: Ref; readonly flags: number }>>;
  readonly additionalProperties?: Ref;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minValue?: number;
  readonly maxValue?: number;
}
interface Ref {
  readonly $ref: string;
}
type Side = 'request' | 'response';

const REQUIRED = 1;
const READ_ONLY = 2;
const WRITE_ONLY = 4;
/** A list of more words than this (VM sizes) is an example of them, not all. */
const MANY_WORDS = 40;
const HEADS = ['id', 'name', 'type', 'apiVersion'];

export function makeBicepJudge(): BicepJudge {
  const validators = new Map<string, ValidateFunction>();
  const validatorFor = (type: string, side: Side): ValidateFunction | undefined => {
    const source = SOURCES[type];
    if (source === undefined) return undefined;
    const key = `${type} ${side}`;
    const made = validators.get(key) ?? compile(source, type, side);
    validators.set(key, made);
    return made;
  };
  return {
    judge(exchange) {
      const url = new URL(exchange.url, 'https://management.azure.com');
      const target = targetOf(exchange.method, url);
      const type = target.type?.toLowerCase();
      if (type === undefined || target.verb !== undefined || exchange.status >= 300) return [];
      const look = (side: Side, body: unknown): Finding[] => {
        const validate = validatorFor(type, side);
        if (validate === undefined || !isObject(body) || validate(body)) return [];
        return (validate.errors ?? []).map((error) => ({
          side,
          code: 'BICEP_TYPES',
          text: `${type}${error.instancePath} ${error.message ?? ''} ${JSON.stringify(error.params)}`,
          method: exchange.method,
          path: url.pathname,
          status: exchange.status,
        }));
      };
      const bodies = target.isCollection ? objectsAt(exchange.body, 'value') : [exchange.body];
      return [
        ...(exchange.method === 'PUT' ? look('request', exchange.requestBody) : []),
        ...bodies
          .filter((body) => textAt(body, 'id') !== undefined)
          .flatMap((body) => look('response', body)),
      ];
    },
  };
}

function compile(source: string, type: string, side: Side): ValidateFunction {
  const file = path.join(BICEP_FOLDER, source, 'types.json');
  const types = JSON.parse(readFileSync(file, 'utf8')) as BicepType[];
  const root = types.find(
    (each) => each.name?.toLowerCase().split('@')[0] === type && each.body !== undefined,
  );
  if (root?.body === undefined) throw new Error(`${file} has no type ${type}.`);
  const definitions = types.map((each, index) => [`t${index}`, schemaOf(each, types, side)]);
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false, logger: false });
  return ajv.compile({ $defs: Object.fromEntries(definitions), ...pointer(root.body) });
}

function pointer(reference: Ref): { $ref: string } {
  return { $ref: `#/$defs/t${reference.$ref.slice(2)}` };
}

function given(values: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined && value !== null),
  );
}

function schemaOf(type: BicepType, types: readonly BicepType[], side: Side): object {
  const { minLength, maxLength, pattern } = type;
  switch (type.$type) {
    case 'StringType':
      return { type: 'string', ...given({ minLength, maxLength, pattern }) };
    case 'IntegerType':
      return { type: 'integer', ...given({ minimum: type.minValue, maximum: type.maxValue }) };
    case 'BooleanType':
      return { type: 'boolean' };
    case 'StringLiteralType':
      return { const: type.value };
    case 'ArrayType':
      return { type: 'array', ...(type.itemType === undefined ? {} : { items: pointer(type.itemType) }) };
    case 'UnionType':
      return unionOf(type, types);
    case 'ObjectType':
      return objectOf(type, side);
    default:
      return {};
  }
}

function unionOf(type: BicepType, types: readonly BicepType[]): object {
  const elements = type.elements ?? [];
  const parts = elements.map((each) => types[Number(each.$ref.slice(2))]);
  const words = parts.flatMap((each) => (each?.$type === 'StringLiteralType' ? [each.value] : []));
  if (words.length === 0) return { anyOf: elements.map(pointer) };
  const isOpen = parts.some((each) => each?.$type === 'StringType');
  return isOpen && words.length > MANY_WORDS ? { type: 'string' } : { type: 'string', enum: words };
}

/** What only Azure writes is not for requests, what only clients write is not for answers. */
function objectOf(type: BicepType, side: Side): object {
  const properties: Record<string, object> = {};
  const required: string[] = [];
  for (const [name, { type: reference, flags }] of Object.entries(type.properties ?? {})) {
    const isHead = HEADS.includes(name);
    if (side === 'request' && flags & READ_ONLY && !isHead) continue;
    if (side === 'response' && flags & WRITE_ONLY) continue;
    properties[name] = pointer(reference);
    if (flags & REQUIRED && !isHead) required.push(name);
  }
  const additionalProperties = type.additionalProperties ? pointer(type.additionalProperties) : false;
  return { type: 'object', properties, required, additionalProperties };
}

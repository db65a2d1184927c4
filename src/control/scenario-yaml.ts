import { inputError } from '../errors.ts';
import { BACKUP_KEEP_MAX, BACKUP_MINUTES_MAX } from '../model/backup.ts';
import { CAPTURE_NAMES } from '../model/capture.ts';
import { askFromProblem } from '../model/drill-place.ts';
import { parseDrillSchedule } from '../model/drill-schedule.ts';
import { SCRIPT_EVENTS, SCRIPT_MOMENTS, TSIG_ALGORITHMS } from '../model/redirect.ts';
import { DISK_TYPES, REWIND_HOURS_MAX, SCRUB_HOURS_MAX } from '../model/scenario.ts';
import type { Context } from './context.ts';
import { healthCheckSchema } from './health-check-schema.ts';
import { dnsServerProblem, type ScenarioFile } from './scenario-file.ts';
import { scenarioNamed } from './scenario-named.ts';
import { scenarioNameProblem } from './scenario-questions.ts';
import { fileFromScenario } from './scenario-resolve.ts';

/** Names only: no secret, and no id that means nothing elsewhere. */
export async function exportScenario(
  context: Context,
  name: string,
): Promise<{ readonly file: ScenarioFile; readonly yaml: string }> {
  const { stringify } = await import('yaml');
  const file = await fileFromScenario(context, await scenarioNamed(context, name));
  return { file, yaml: stringify(file) };
}

const TEXT_BYTES_MAX = 256 * 1024;

/** Reads what `export` wrote, however it was edited; every problem is found before the one error that names them all. */
export async function scenarioFileFromYaml(text: string): Promise<ScenarioFile> {
  if (Buffer.byteLength(text) > TEXT_BYTES_MAX) {
    throw inputError(
      'SCENARIO_INVALID',
      'The file is too large to be a scenario.',
      'Give the file that `standby scenario export` wrote.',
    );
  }
  const { parseDocument } = await import('yaml');
  const document = parseDocument(text, { uniqueKeys: true });
  const [broken] = document.errors;
  if (broken) {
    throw inputError(
      'YAML_INVALID',
      `This is no valid YAML: ${broken.message.split('\n')[0]?.replace(/:$/, '.')}`,
      'Correct that place, or take what `standby scenario export` writes.',
    );
  }
  const schema = await scenarioSchema();
  const result = schema.safeParse(document.toJS({ maxAliasCount: 10 }));
  if (result.success) return result.data;
  const problems = result.error.issues.map(
    (issue) => `${issue.path.join('.') || 'the file'}: ${issue.message}`,
  );
  throw inputError(
    'SCENARIO_INVALID',
    `The scenario file has ${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}.`,
    `Correct: ${problems.join('; ')}.`,
  );
}

const ONLY_BY_HAND = 'full-system scenarios to Azure are switched over by hand only; write manual';

/** Each rung may take minutes to be refused; nobody waits for more of them. */
const LADDER_MAX = 10;

async function scenarioSchema() {
  const { z } = await import('zod');
  const fixed = <Value extends string>(value: Value, why = `it is always ${value}`) =>
    z.literal(value, { error: why });
  const text = z.string({ error: 'a text is needed' }).trim().min(1, 'a text is needed');
  const port = z.int('a whole number is needed').min(1, 'at least 1').max(65535, 'at most 65535');
  const isServer = (server: string) => dnsServerProblem(server) === undefined;
  const dnsServer = text.refine(isServer, 'an IPv4 address of a DNS server');
  const nic = z.strictObject({
    master: text,
    virtualNetwork: text,
    subnet: text,
    address: text,
    dnsServers: z.array(dnsServer).min(1, 'at least one, or leave it out').exactOptional(),
    securityGroup: text.exactOptional(),
    publicIp: z.boolean('true or false'),
  });
  const healthCheck = healthCheckSchema(z);
  return z.strictObject({
    standbyScenario: z.literal(1, { error: 'this version of Standby reads version 1' }),
    name: text.refine((name) => scenarioNameProblem(name, []) === undefined, 'not a scenario name'),
    purpose: z.enum(['dr', 'migration'], { error: 'dr or migration' }),
    serverType: fixed('full-system'),
    productType: fixed('high-availability'),
    replicaType: fixed('azure'),
    switchoverMode: fixed('manual', ONLY_BY_HAND),
    account: text,
    region: text,
    appliance: text,
    master: text,
    capture: z.enum(CAPTURE_NAMES, { error: CAPTURE_NAMES.join(' or ') }),
    runAfterReboot: z.boolean('true or false').optional(),
    excludedVolumes: z.array(text),
    vm: z.strictObject({
      name: text,
      size: text,
      resourceGroup: text,
      diskType: z.enum(DISK_TYPES, { error: DISK_TYPES.join(' or ') }),
      zone: text.exactOptional(),
      fallbackSizes: z.array(text).max(LADDER_MAX).exactOptional(),
      fallbackZones: z.array(text).max(LADDER_MAX).exactOptional(),
    }),
    nics: z.array(nic).min(1, 'at least one NIC is needed'),
    ...drillSchemas(z, text),
    isAlive: z.strictObject({
      ping: z.boolean('true or false'),
      tcpPort: port.optional(),
      script: z.array(text).min(1, 'a program is needed').max(64).optional(),
      address: text.optional(),
    }),
    scrubEveryHours: z.int('a whole number is needed').min(1).max(SCRUB_HOURS_MAX).optional(),
    rewind: z
      .strictObject({
        hours: z.number().min(0).max(REWIND_HOURS_MAX).optional(),
        bytes: z.int().min(0).optional(),
      })
      .optional(),
    healthChecks: z.array(healthCheck).max(1, 'one health check at most'),
    ...redirectSchemas(z, text),
    backup: backupSchema(z, text).exactOptional(),
  });
}

type Zod = typeof import('zod').z;

function drillSchemas(z: Zod, text: import('zod').ZodString) {
  const isAsker = (from: string) => askFromProblem(from) === undefined;
  const isSchedule = (when: string) => parseDrillSchedule(when) !== undefined;
  return {
    drill: z
      .union(
        [
          z.strictObject({ virtualNetwork: text, subnet: text }),
          z.strictObject({
            askFrom: text.refine(isAsker, 'a public IPv4 address, or a prefix of /16 or narrower'),
          }),
        ],
        { error: 'virtualNetwork and subnet, or askFrom alone' },
      )
      .optional(),
    drillSchedule: text.refine(isSchedule, 'daily 03:00, weekly sun 03:00 or monthly 1 03:00').optional(),
  };
}

function backupSchema(z: Zod, text: import('zod').ZodString) {
  const wholeNumber = z.int('a whole number is needed').min(1);
  return z.strictObject({
    at: text.exactOptional(),
    window: text.exactOptional(),
    minutes: wholeNumber.max(BACKUP_MINUTES_MAX),
    keep: wholeNumber.max(BACKUP_KEEP_MAX),
  });
}

function redirectSchemas(z: Zod, text: ReturnType<Zod['string']>) {
  const record = {
    zone: text,
    name: text,
    address: z.enum(['public', 'private']).exactOptional(),
    ttlSeconds: z.int().min(1).max(86_400).exactOptional(),
  };
  return {
    redirect: z
      .discriminatedUnion('kind', [
        z.strictObject({
          kind: z.literal('dns-update'),
          server: text,
          ...record,
          keyName: text,
          keyAlgorithm: z.enum(TSIG_ALGORITHMS, { error: TSIG_ALGORITHMS.join(' or ') }),
        }),
        z.strictObject({
          kind: z.enum(['azure-dns', 'azure-private-dns']),
          resourceGroup: text,
          ...record,
        }),
      ])
      .exactOptional(),
    scripts: z
      .array(
        z.strictObject({
          at: z.enum(SCRIPT_MOMENTS, { error: SCRIPT_MOMENTS.join(' or ') }),
          events: z
            .array(z.enum(SCRIPT_EVENTS, { error: SCRIPT_EVENTS.join(' or ') }))
            .min(1, SCRIPT_EVENTS.join(' or '))
            .exactOptional(),
          command: z.array(text).min(1, 'a program is needed').max(64),
          timeoutSeconds: z.int().min(1).max(86_400),
        }),
      )
      .max(SCRIPT_MOMENTS.length * SCRIPT_EVENTS.length, 'one script for each moment at most')
      .exactOptional(),
  };
}

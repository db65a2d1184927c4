import { inputError } from '../../errors.ts';
import { parseDrillSchedule } from '../../model/drill-schedule.ts';
import {
  GROUP_DELAY_SECONDS_MAX,
  GROUP_MEMBERS_MAX,
  GROUP_PARALLEL_MAX,
  type Group,
  type GroupCommon,
} from '../../model/group.ts';
import type { Scenario } from '../../model/scenario.ts';
import type { Context } from '../context.ts';
import { healthCheckSchema } from '../health-check-schema.ts';

/** A group in words that mean something elsewhere too: names, no ids. What `group export` writes and `group import` reads. */
export interface GroupFile {
  /** Version of this format. */
  readonly standbyGroup: 1;
  readonly name: string;
  readonly waves: readonly GroupFileWave[];
  readonly common?: GroupCommon | undefined;
  readonly parallel?: number | undefined;
}

export interface GroupFileWave {
  readonly scenarios: readonly string[];
  readonly delaySeconds?: number | undefined;
  readonly pause?: string | undefined;
}

const DRILL_SCHEDULES = 'daily 03:00, weekly sun 03:00 or monthly 1 03:00';
const FILE_BYTES_MAX = 256 * 1024;

/** Every problem is found before the one error that names them all. */
export async function groupFileFromYaml(text: string): Promise<GroupFile> {
  if (Buffer.byteLength(text) > FILE_BYTES_MAX) throw invalid(['the file is too large to be a group']);
  const { parseDocument } = await import('yaml');
  const document = parseDocument(text, { uniqueKeys: true });
  const [broken] = document.errors;
  if (broken) throw invalid([`no valid YAML: ${broken.message.split('\n')[0]?.replace(/:$/, '.')}`]);
  return checkedFile(document.toJS({ maxAliasCount: 10 }));
}

/** The same for what came in by flags. */
export async function checkedFile(given: unknown): Promise<GroupFile> {
  const result = (await groupSchema()).safeParse(given);
  if (!result.success) {
    throw invalid(
      result.error.issues.map((issue) => `${issue.path.join('.') || 'the group'}: ${issue.message}`),
    );
  }
  const file: GroupFile = result.data;
  const problems = problemsOf(file);
  if (problems.length > 0) throw invalid(problems);
  return file;
}

function problemsOf({ waves }: GroupFile): readonly string[] {
  const names = waves.flatMap((wave) => wave.scenarios.map((name) => name.toLowerCase()));
  const twice = names.filter((name, index) => names.indexOf(name) !== index);
  const last = waves.at(-1);
  return [
    ...(names.length > GROUP_MEMBERS_MAX ? [`waves: more than ${GROUP_MEMBERS_MAX} scenarios`] : []),
    ...(twice.length > 0 ? [`waves: named twice: ${[...new Set(twice)].join(', ')}`] : []),
    ...(last?.delaySeconds !== undefined || last?.pause !== undefined
      ? ['waves: a delay or pause after the last wave holds nothing back']
      : []),
  ];
}

export function invalid(problems: readonly string[]) {
  return inputError(
    'GROUP_INVALID',
    `The group cannot be taken over: ${problems.length} ${problems.length === 1 ? 'thing is' : 'things are'} wrong.`,
    `Correct: ${problems.join('; ')}.`,
  );
}

async function groupSchema() {
  const { z } = await import('zod');
  const text = z.string({ error: 'a text is needed' }).trim().min(1, 'a text is needed');
  const healthCheck = healthCheckSchema(z);
  return z.strictObject({
    standbyGroup: z.literal(1, { error: 'this version of Standby reads version 1' }),
    name: text.regex(
      /^[a-z0-9]([a-z0-9 _.-]{0,38}[a-z0-9])?$/i,
      '1 to 40 letters a-z, digits, spaces and _ . -, beginning and ending with a letter or digit',
    ),
    waves: z
      .array(
        z.strictObject({
          scenarios: z.array(text).min(1, 'at least one scenario'),
          delaySeconds: z.int().min(1).max(GROUP_DELAY_SECONDS_MAX).optional(),
          pause: text.max(200, 'at most 200 characters').optional(),
        }),
      )
      .min(1, 'at least one wave'),
    common: z
      .strictObject({
        fallbackSizes: z.array(text).max(10).optional(),
        healthChecks: z.array(healthCheck).max(1, 'one health check at most').optional(),
        drillSchedule: text
          .refine((value) => parseDrillSchedule(value) !== undefined, DRILL_SCHEDULES)
          .optional(),
      })
      .optional(),
    parallel: z.int().min(1).max(GROUP_PARALLEL_MAX).optional(),
  });
}

export async function fileFromGroup(context: Pick<Context, 'store'>, group: Group): Promise<GroupFile> {
  const scenarios = await context.store.scenarios.list();
  const nameOf = (id: string) => scenarios.find((one) => one.id === id)?.name ?? '(removed)';
  return {
    standbyGroup: 1,
    name: group.name,
    waves: group.waves.map(({ scenarioIds, ...rest }) => ({ scenarios: scenarioIds.map(nameOf), ...rest })),
    ...(Object.keys(group.common).length > 0 ? { common: group.common } : {}),
    ...(group.parallel === undefined ? {} : { parallel: group.parallel }),
  };
}

export async function yamlOfGroup(file: GroupFile): Promise<string> {
  const { stringify } = await import('yaml');
  return stringify(file);
}

/** What a member is with the group's common settings: its own always win. */
export function withCommon(scenario: Scenario, common: GroupCommon): Scenario {
  const { fallbackSizes, healthChecks } = common;
  const drillSchedule = scenario.drillSchedule ?? common.drillSchedule;
  const ownSizes = scenario.vm.fallbackSizes !== undefined || fallbackSizes === undefined;
  const ownChecks = scenario.healthChecks.length > 0 || healthChecks === undefined;
  // Its own size comes first anyway; a ladder has each rung once.
  const sizes = (fallbackSizes ?? []).filter((size) => size.toLowerCase() !== scenario.vm.size.toLowerCase());
  return {
    ...scenario,
    ...(ownSizes || sizes.length === 0 ? {} : { vm: { ...scenario.vm, fallbackSizes: sizes } }),
    ...(ownChecks ? {} : { healthChecks }),
    ...(drillSchedule === undefined ? {} : { drillSchedule }),
  };
}

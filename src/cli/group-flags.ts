import type { GroupFile, GroupFileWave } from '../control/group/file.ts';
import { inputError } from '../errors.ts';

type Options = Readonly<Record<string, unknown>>;

/** A group as `create` and `edit` are told it. What it means is checked with everything else, in one place. */
export async function fileFromFlags(name: string, options: Options): Promise<GroupFile> {
  if (options.wave === undefined) {
    throw inputError(
      'WAVE_MISSING',
      'A group has at least one wave of scenarios.',
      'Name them in the order in which they start: --wave db --wave web1,web2',
    );
  }
  return changedFile({ standbyGroup: 1, name, waves: [] }, options);
}

export async function changedFile(file: GroupFile, options: Options): Promise<GroupFile> {
  const { checkedFile } = await import('../control/group/file.ts');
  const { drillSchedule, fallbackSizes, healthCheck, parallel, name } = options;
  const common = {
    ...file.common,
    ...(typeof fallbackSizes === 'string' ? { fallbackSizes: sizesOf(fallbackSizes) } : {}),
    ...(typeof healthCheck === 'string' ? { healthChecks: checkOf(healthCheck) } : {}),
    ...(typeof drillSchedule === 'string' ? { drillSchedule: scheduleOf(drillSchedule) } : {}),
  };
  return checkedFile({
    standbyGroup: 1,
    name: typeof name === 'string' ? name : file.name,
    waves: paused(delayed(wavesOf(file, options), pairsOf(options, 'delay')), pairsOf(options, 'pause')),
    ...(Object.keys(common).length > 0 ? { common } : {}),
    ...parallelOf(file, parallel),
  });
}

function wavesOf(file: GroupFile, { wave }: Options): readonly GroupFileWave[] {
  if (!Array.isArray(wave)) return file.waves;
  return wave.map((names) => ({ scenarios: listOf(String(names)) }));
}

const listOf = (text: string) =>
  text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');

const sizesOf = (text: string) => (text.trim() === 'none' ? undefined : listOf(text));

const scheduleOf = (text: string) => (text.trim() === 'none' ? undefined : text.trim());

function parallelOf({ parallel }: GroupFile, given: unknown): { parallel?: number } {
  if (given === 'default') return {};
  if (given !== undefined) return { parallel: Number(given) };
  return parallel === undefined ? {} : { parallel };
}

/** `--delay 1=30`: the wave's number, from 1, and what is said of it. */
function pairsOf(options: Options, name: 'delay' | 'pause'): readonly (readonly [number, string])[] {
  const given = options[name];
  if (!Array.isArray(given)) return [];
  return given.map((each) => {
    const [, wave, value = ''] = /^(\d+)=(.*)$/s.exec(String(each).trim()) ?? [];
    if (wave !== undefined) return [Number(wave), value.trim()] as const;
    throw inputError(
      'WAVE_WRONG',
      `\`--${name} ${String(each)}\` cannot be.`,
      `Write the number of the wave first: --${name} 1=${name === 'delay' ? '30' : '"Is the database there?"'}`,
    );
  });
}

function delayed(
  waves: readonly GroupFileWave[],
  pairs: readonly (readonly [number, string])[],
): readonly GroupFileWave[] {
  return changed(waves, pairs, 'delay', ({ delaySeconds: _, ...wave }, value) =>
    Number(value) === 0 ? wave : { ...wave, delaySeconds: Number(value) },
  );
}

function paused(
  waves: readonly GroupFileWave[],
  pairs: readonly (readonly [number, string])[],
): readonly GroupFileWave[] {
  return changed(waves, pairs, 'pause', ({ pause: _, ...wave }, value) =>
    value === '' ? wave : { ...wave, pause: value },
  );
}

function changed(
  waves: readonly GroupFileWave[],
  pairs: readonly (readonly [number, string])[],
  name: string,
  change: (wave: GroupFileWave, value: string) => GroupFileWave,
): readonly GroupFileWave[] {
  const stranger = pairs.find(([wave]) => wave < 1 || wave > waves.length);
  if (stranger) {
    throw inputError(
      'WAVE_WRONG',
      `\`--${name} ${stranger[0]}=...\`: there is no wave ${stranger[0]}.`,
      `Waves are counted from 1; here are ${waves.length}.`,
    );
  }
  return waves.map((wave, index) =>
    pairs
      .filter(([number]) => number === index + 1)
      .reduce((before, [, value]) => change(before, value), wave),
  );
}

/** `tcp:443`, `http:80/health`, `http:8080/health=204`. Anything else is refused with what would be right. */
function checkOf(text: string) {
  if (text.trim() === 'none') return undefined;
  const tcp = /^tcp:(\d+)$/.exec(text.trim());
  if (tcp) return [{ kind: 'tcp', port: Number(tcp[1]) } as const];
  const http = /^http:(\d+)(\/[^=]*)?(?:=(\d+))?$/.exec(text.trim());
  if (http) {
    const [, port, path = '/', expectStatus = '200'] = http;
    return [{ kind: 'http', port: Number(port), path, expectStatus: Number(expectStatus) } as const];
  }
  throw inputError(
    'HEALTH_CHECK_WRONG',
    `\`--health-check ${text}\` cannot be.`,
    'Write tcp:443, http:80/path (with =204 for another status than 200), or none.',
  );
}

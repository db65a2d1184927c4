import { z } from 'zod';
import { listOf } from './inventory-document.ts';

/**
 * What goes to and comes from Windows' shadow copy service. Only what does not depend on the language of Windows is
 * read: GUIDs, names we gave, numbers in brackets, names in quotes.
 */
export interface Shadow {
  readonly id: string;
  readonly setId: string;
  /** `\\\\?\\Volume{...}\\` of the volume it is a copy of. */
  readonly volume: string;
  readonly device: string;
}

export interface Writer {
  readonly name: string;
  readonly id: string;
  readonly state: number;
  /** In the language of Windows. */
  readonly lastError: string;
}

const GUID = /\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}/gi;
const ONE_GUID = new RegExp(`^${GUID.source}$`, 'i');
const VOLUME = /^\\\\\?\\Volume\{[0-9a-f-]{36}\}\\$/i;
const SET_ALIAS = 'VSS_SHADOW_SET';

/**
 * All volumes in one set, with writers. There is no `begin backup`: a replication must not end somebody's chain of
 * backups or cut a log. `persistent`: it must outlive diskshadow, which ends when the set stands.
 */
export function createScript(volumes: readonly string[], metadataPath: string): string {
  const adds = volumes.map((volume, index) => `add volume ${checked(volume)} alias standby${index}`);
  return lines([
    'set verbose on',
    'set context persistent',
    `set metadata "${metadataPath}"`,
    ...adds,
    'create',
  ]);
}

export function deleteScript(kind: 'set' | 'id', ids: readonly string[]): string {
  return lines(ids.map((id) => `delete shadows ${kind} ${checked(id)}`));
}

function lines(all: readonly string[]): string {
  return `${all.join('\r\n')}\r\n`;
}

/** Nothing but a GUID or a volume's name gets into a script. */
function checked(text: string): string {
  if (VOLUME.test(text) || ONE_GUID.test(text)) return text;
  throw new RangeError(`${text} is neither a GUID nor a volume`);
}

/** The set that a script made, from what diskshadow said or logged; undefined when none stands in it. */
export function setIdIn(said: string): string | undefined {
  // A log may be UTF-16: its other bytes are in the way.
  const told = said
    .replaceAll('\0', '')
    .split(/\r?\n/)
    .filter((line) => line.includes(SET_ALIAS))
    .flatMap((line) => line.match(GUID) ?? []);
  return told[0]?.toLowerCase();
}

export const SHADOWS_SCRIPT = `
@{ shadows = @(Get-CimInstance -ClassName Win32_ShadowCopy | ForEach-Object {
  @{ id = $_.ID; setId = $_.SetID; volume = $_.VolumeName; device = $_.DeviceObject }
}) }
`;

const shadowsSchema = z.object({
  shadows: listOf(
    z.object({
      id: z.string().toLowerCase(),
      setId: z.string().toLowerCase(),
      volume: z.string(),
      device: z.string().regex(/^\\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy\d+$/i),
    }),
  ),
});

export function shadowsOf(answer: unknown): readonly Shadow[] {
  return shadowsSchema.parse(answer).shadows;
}

/** Client editions: one volume after the other, without writers. Each id is in the trace as soon as it is made. */
export function createOneByOneScript(volumes: readonly string[], tracePath: string): string {
  const list = volumes.map((volume) => `'${checked(volume)}'`).join(', ');
  return `
$trace = '${tracePath.replaceAll("'", "''")}'
@{ made = @(foreach ($volume in @(${list})) {
  $made = Invoke-CimMethod -ClassName Win32_ShadowCopy -MethodName Create -Arguments @{ Volume = $volume; Context = 'ClientAccessible' }
  if ($made.ReturnValue -ne 0) { throw "Win32_ShadowCopy.Create of $volume returned $($made.ReturnValue)" }
  Add-Content -LiteralPath $trace -Value $made.ShadowID -Encoding ASCII
  $made.ShadowID
}) }
`;
}

export function madeOneByOne(traced: string): string[] {
  return (traced.replaceAll('\0', '').match(GUID) ?? []).map((id) => id.toLowerCase());
}

export function removeScript(ids: readonly string[]): string {
  const list = ids.map((id) => `'${checked(id)}'`).join(', ');
  return `
$ours = @(${list})
Get-CimInstance -ClassName Win32_ShadowCopy | Where-Object { $ours -contains $_.ID } | Remove-CimInstance
@{ removed = $true }
`;
}

export const WRITERS_SCRIPT = `
@{ said = @(& "$env:SystemRoot\\System32\\vssadmin.exe" list writers | ForEach-Object { [string]$_ }) }
`;

/**
 * `vssadmin list writers`, in any language: a name in quotes, then its GUID, that of its instance, the state's number in
 * brackets, and the last error.
 */
export function writersOf(answer: unknown): readonly Writer[] {
  const { said } = z.object({ said: listOf(z.string()) }).parse(answer);
  const writers: { name: string; id: string; state: number; lastError: string }[] = [];
  for (const line of said) {
    const name = /'(.+)'\s*$/.exec(line)?.[1];
    if (name) writers.push({ name, id: '', state: 0, lastError: '' });
    const writer = writers.at(-1);
    if (!writer || name) continue;
    const [id] = line.match(GUID) ?? [];
    const state = /\[(\d{1,2})\]/.exec(line)?.[1];
    if (id) writer.id ||= id.toLowerCase();
    else if (state) writer.state = Number(state);
    else if (line.trim() !== '' && writer.state > 0)
      writer.lastError ||= line.replace(/^[^:\uFF1A]*[:\uFF1A]/, '').trim();
  }
  return writers;
}

/** VSS_WS_FAILED_AT_IDENTIFY ... VSS_WS_FAILED_AT_POST_SNAPSHOT; later ones are about somebody's backup. */
const FAILED = { first: 6, last: 11 } as const;

export function consistencyOf(writers: readonly Writer[]): string {
  if (writers.length === 0) {
    return 'The volumes were shadowed at one moment; what their writers did is not known, so it counts as crash-consistent.';
  }
  const failed = writers.filter(({ state }) => state >= FAILED.first && state <= FAILED.last);
  if (failed.length === 0) return `Application-consistent: ${writers.length} writers of VSS took part.`;
  const named = failed
    .map(({ name, state, lastError }) => `${name} [${state}] ${lastError}`.trim())
    .join(', ');
  return `The volumes were shadowed at one moment, but crash-consistent for writers that failed: ${named}.`;
}

export const ONE_BY_ONE =
  'Crash-consistent for each volume: this Windows has no diskshadow, so they were shadowed one after the other, without writers.';

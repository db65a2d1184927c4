import { ENGINE_VERSION } from '../../wire/version.ts';
import { type Check, doubtful, error, type Finding, ok, skipped, unseen, warning, wrong } from '../check.ts';
import { durationText } from '../replica-state.ts';

const CLOCK_WARN_MS = 60_000;
/** Above it certificates made here may not be valid there yet, and times in bookmarks mislead. */
const CLOCK_ERROR_MS = 5 * 60_000;

/** All engines are of one version, and the clocks agree. */
export const applianceEngine: Check = {
  id: 'appliance-engine',
  title: 'Engines and clocks',
  group: 'Appliance',
  uses: [],
  codes: {
    ENGINE_VERSION_DIFFERS: warning(
      'Appliance, master and this machine do not run the same version.',
      'Bring all to the version of this machine: a new appliance, or a new engine on the master.',
    ),
    CLOCK_DIFFERS: warning(
      'The clocks of appliance and this machine differ by over a minute.',
      'Synchronise both clocks (NTP).',
    ),
    CLOCK_WRONG: error('The clocks differ by over five minutes.', 'Synchronise both clocks (NTP).'),
    ENGINE_NOT_ASKED: unseen('The appliance did not answer.', 'See the findings about the appliance.'),
  },
  async run({ scenario, session, appliance }): Promise<readonly Finding[]> {
    if (!session) return [skipped('ENGINE_NOT_ASKED', 'the appliance was not asked')];
    const { engineVersion, clockDifferenceMs } = session.hello;
    const name = appliance?.name ?? 'the appliance';
    const findings = versionFinding(`"${name}"`, engineVersion);
    const master = (await session.masters()).find((one) => one.masterId === scenario.masterId);
    if (master?.engineVersion !== undefined)
      findings.push(...versionFinding('the master', master.engineVersion));
    const away = Math.abs(clockDifferenceMs);
    if (away > CLOCK_WARN_MS) {
      const direction = clockDifferenceMs > 0 ? 'ahead of' : 'behind';
      const found = `The clock of "${name}" is ${durationText(away)} ${direction} this machine’s.`;
      const judge = away > CLOCK_ERROR_MS ? wrong : doubtful;
      const code = away > CLOCK_ERROR_MS ? 'CLOCK_WRONG' : 'CLOCK_DIFFERS';
      findings.push(judge(code, found, 'less than a minute', 'Synchronise both clocks (NTP).'));
    }
    if (findings.length > 0) return findings;
    return [
      ok('ENGINES_AGREE', `engine ${engineVersion}, clock difference ${Math.round(clockDifferenceMs)} ms`),
    ];
  },
};

function versionFinding(who: string, version: string): Finding[] {
  if (version === ENGINE_VERSION) return [];
  const found = `The engine of ${who} is ${version}; this machine has ${ENGINE_VERSION}.`;
  return [doubtful('ENGINE_VERSION_DIFFERS', found, ENGINE_VERSION, 'Bring all engines to one version.')];
}

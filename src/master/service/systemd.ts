import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inputError, StandbyError } from '../../errors.ts';
import { commandOf, type ServiceSpec, type ServiceState, type ServiceSystem } from './service.ts';

/**
 * A unit of systemd. Its hardening keeps to what cannot stand between the engine and raw disks, tracefs, snapshots or a
 * fence command: no private devices, no read-only kernel settings, no mounts of its own. Dies at any line: the same
 * command again ends with the unit as it should be.
 */
export const UNIT = 'standby-master.service';
const UNIT_FOLDER = '/etc/systemd/system';

export interface SystemdOptions {
  /** Tests put a folder and a program in their place. */
  readonly unitFolder?: string;
  readonly systemctl?: string;
}

export function systemd({
  unitFolder = UNIT_FOLDER,
  systemctl = 'systemctl',
}: SystemdOptions = {}): ServiceSystem {
  const path = join(unitFolder, UNIT);
  const control = (...args: string[]) => runSystemctl(systemctl, args);
  const status = async (): Promise<ServiceState> => {
    const said = await control(
      'show',
      UNIT,
      '--property=LoadState,UnitFileState,ActiveState,SubState,NRestarts',
    );
    return stateOf(said);
  };
  return {
    print: systemdUnit,
    status,
    async install(spec) {
      try {
        await writeFile(path, systemdUnit(spec), { mode: 0o644 });
      } catch (error) {
        throw unwritable(path, error);
      }
      await control('daemon-reload');
      await control('enable', UNIT);
      // Started, or started anew with what has changed.
      await control('restart', UNIT);
      return await status();
    },
    async uninstall() {
      const before = await status();
      if (before.state !== 'absent') await control('disable', '--now', UNIT);
      try {
        await rm(path, { force: true });
      } catch (error) {
        throw unwritable(path, error);
      }
      await control('daemon-reload');
      return await status();
    },
  };
}

export function systemdUnit(spec: ServiceSpec): string {
  const command = [spec.node, ...commandOf(spec)].map(quoted).join(' ');
  return `[Unit]
Description=Standby: sends the disks of this server to its appliance
Wants=network-online.target
After=network-online.target local-fs.target
RequiresMountsFor=${quoted(spec.stateFolder)}
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${command}
Restart=always
RestartSec=5
TimeoutStopSec=60
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
`;
}

/** As systemd reads a word: in quotes, where it would expand specifiers and variables. */
function quoted(text: string): string {
  if (/[\r\n\0]/.test(text)) {
    throw inputError(
      'SERVICE_WORD_WRONG',
      'A line break cannot be part of a service’s command.',
      'Leave it out.',
    );
  }
  const safe = text
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('%', '%%')
    .replaceAll('$', '$$$$');
  return `"${safe}"`;
}

const STATES: Readonly<Record<string, ServiceState['state']>> = {
  active: 'running',
  reloading: 'running',
  activating: 'starting',
};

export function stateOf(said: string): ServiceState {
  const facts = Object.fromEntries(said.split('\n').map((line) => line.split(/=(.*)/s).slice(0, 2)));
  if (facts.LoadState === 'not-found') return { state: 'absent', name: UNIT, detail: 'it is not installed' };
  const state = STATES[facts.ActiveState] ?? (facts.UnitFileState === 'disabled' ? 'disabled' : 'stopped');
  const detail = `${facts.ActiveState} (${facts.SubState}), started anew ${facts.NRestarts ?? 0} times`;
  return { state, name: UNIT, detail };
}

function runSystemctl(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { timeout: 120_000, encoding: 'utf8' }, (error, said, complained) => {
      if (!error) return resolve(said);
      const isMissing = error.code === 'ENOENT';
      reject(
        new StandbyError({
          code: isMissing ? 'SYSTEMD_MISSING' : 'SERVICE_FAILED',
          what: `systemctl ${args.join(' ')} failed.`,
          why: isMissing ? 'This system has no systemd.' : complained.trim().slice(0, 500) || error.message,
          next: isMissing
            ? 'Let your own supervisor run `standby engine master`.'
            : `Run it as root; see also journalctl -u ${UNIT}.`,
          cause: error,
        }),
      );
    });
  });
}

function unwritable(path: string, cause: unknown): StandbyError {
  return new StandbyError({
    code: 'SERVICE_NOT_WRITTEN',
    what: `${path} cannot be written.`,
    why: cause instanceof Error ? cause.message : String(cause),
    next: 'Run it as root (sudo), or write what `--print` prints there yourself.',
    kind: 'input',
    cause,
  });
}

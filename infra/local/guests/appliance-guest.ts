import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isoTime } from '../../../src/clock.ts';
import { messageOf } from '../../../src/errors.ts';
import { ENGINE_PORT } from '../../../src/model/appliance.ts';
import { listeningSockets } from '../network/loopback.ts';
import { commandBelow, parseCloudConfig, writeFiles } from './cloud-init.ts';
import type { Endpoint, Guest, GuestPlace, NicPort } from './guest.ts';
import type { MachineFacts } from './machine-facts.ts';
import { endProcess, findProcess, signalGroup, startProcess } from './processes.ts';
import { parseUnit } from './service-unit.ts';

/**
 * An appliance VM as a local process: a folder stands for its root, cloud-init's part is done here once, and the
 * service it installs is kept running as systemd would. The service outlives Local Azure's own death and is found
 * again; a first boot that was cut short begins anew in an empty root. A first boot that fails leaves the VM running
 * with nothing in it, and the serial log says why.
 */
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const LOOK_MS = 100;
/** Local Azure does not wait as long as a real server would before it starts a service again. */
const RESTART_MS_MAX = 500;

const SYSTEMCTL = `#!/bin/sh
# Stands for systemd in a guest of Local Azure: notes which services shall run. Local Azure runs them.
verb= now= units=
for word in "$@"; do
  case $word in
    --now) now=yes ;;
    -*) ;;
    *) if [ -z "$verb" ]; then verb=$word; else units="$units \${word%.service}"; fi ;;
  esac
done
cd "$(dirname "$0")/.." || exit 1
for unit in $units; do
  case $verb in
    start) : >"wanted/$unit" ;;
    restart | reload-or-restart | try-restart) : >"wanted/$unit"; : >"restart/$unit" ;;
    stop) rm -f "wanted/$unit" ;;
    enable) if [ -n "$now" ]; then : >"wanted/$unit"; fi ;;
    disable) if [ -n "$now" ]; then rm -f "wanted/$unit"; fi ;;
    is-active) [ -f "wanted/$unit" ] || exit 3 ;;
  esac
done
`;

interface Layout {
  readonly root: string;
  readonly bin: string;
  readonly wanted: string;
  readonly restart: string;
  readonly done: string;
  readonly luns: string;
}

function layoutOf(folder: string): Layout {
  const root = join(folder, 'root');
  return {
    root,
    bin: join(folder, 'bin'),
    wanted: join(folder, 'wanted'),
    restart: join(folder, 'restart'),
    done: join(folder, 'first-boot.done'),
    luns: join(root, 'dev/disk/azure/scsi1'),
  };
}

/** Data disks as Azure's udev rules name them; links of disks that went are removed. */
async function linkDisks(layout: Layout, facts: MachineFacts): Promise<void> {
  await mkdir(layout.luns, { recursive: true });
  const wanted = new Map(facts.dataDisks.map(({ lun, file }) => [`lun${lun}`, file]));
  for (const name of await readdir(layout.luns)) {
    if (!wanted.has(name)) await rm(join(layout.luns, name), { force: true });
  }
  for (const [name, file] of wanted) {
    const link = join(layout.luns, name);
    if (existsSync(link) && (await readlink(link)) === file) continue;
    await rm(`${link}.new`, { force: true });
    await symlink(file, `${link}.new`);
    await rename(`${link}.new`, link);
  }
}

interface Service {
  notBeforeMs: number;
  started: boolean;
  over: boolean;
}

export function makeApplianceGuest(place: GuestPlace): Guest {
  const { clock } = place;
  const layout = layoutOf(place.folder);
  const services = new Map<string, Service>();
  let running: { readonly abort: AbortController; readonly over: Promise<void> } | undefined;

  const say = (text: string) => {
    // A process may be seen to end when the VM is already deleted, and its console with it.
    if (existsSync(place.folder))
      appendFileSync(
        place.serialFile,
        `[${isoTime(clock.now())}] ${text}
`,
      );
  };
  const unitPid = (unit: string) => place.pidFile(`unit-${unit}`);
  const bootEnvironment = () => ({
    PATH: `${layout.bin}:${SYSTEM_PATH}`,
    HOME: layout.root,
    LANG: 'C.UTF-8',
    STANDBY_ROOT: layout.root,
    STANDBY_DOWNLOAD_PAUSE: '1',
    CURL_CA_BUNDLE: place.caFile,
    SSL_CERT_FILE: place.caFile,
    NODE_EXTRA_CA_CERTS: place.caFile,
  });

  /** Every process of this guest, also those that an earlier Local Azure started. */
  function processes() {
    const prefix = basename(place.pidFile('')).replace(/pid$/, '').slice(0, -1);
    const folder = dirname(place.pidFile(''));
    return readdirSync(folder)
      .filter((name) => name.startsWith(prefix) && name.endsWith('.pid'))
      .flatMap((name) => findProcess(join(folder, name)) ?? []);
  }

  async function runCommand(command: readonly string[], signal: AbortSignal): Promise<number | string> {
    const [program = 'true', ...args] = command;
    const pidFile = place.pidFile('first-boot');
    let tell: (how: number | string) => void = () => {};
    const ended = new Promise<number | string>((resolve) => {
      tell = resolve;
    });
    const spec = {
      command: program,
      args,
      cwd: layout.root,
      env: bootEnvironment(),
      logFile: place.serialFile,
      pidFile,
    };
    await startProcess(spec, ({ code, signal: by }) => tell(code ?? by ?? 'unknown'));
    const onAbort = () => tell('aborted');
    signal.addEventListener('abort', onAbort, { once: true });
    const how = await ended;
    signal.removeEventListener('abort', onAbort);
    return how;
  }

  async function firstBoot(facts: MachineFacts, signal: AbortSignal): Promise<void> {
    say(`cloud-init: first boot of ${facts.name}`);
    const config = parseCloudConfig(facts.userData);
    await writeFiles(layout.root, config.files);
    for (const command of config.commands) {
      const how = await runCommand(commandBelow(layout.root, command, config.files), signal);
      if (signal.aborted) return;
      if (how !== 0) say(`cloud-init: runcmd failed (${how}): ${command[0]} ${command[1] ?? ''}`);
    }
    await writeFile(layout.done, '');
    say('cloud-init: finished');
  }

  async function startService(facts: MachineFacts, unit: string): Promise<void> {
    const primary = facts.nics.find((nic) => nic.primary) ?? facts.nics[0];
    const inherited = {
      PATH: `${layout.bin}:${SYSTEM_PATH}`,
      HOME: layout.root,
      LANG: 'C.UTF-8',
      STANDBY_ROOT: layout.root,
      ...(primary ? { STANDBY_LISTEN: `${place.addressOf(primary.id)}:${ENGINE_PORT}` } : {}),
    };
    const parsed = parseUnit(
      readFileSync(join(layout.root, 'etc/systemd/system', `${unit}.service`), 'utf8'),
      inherited,
    );
    const [program = '', ...args] = parsed.command;
    const service: Service = services.get(unit) ?? { notBeforeMs: 0, started: false, over: false };
    services.set(unit, service);
    say(`systemd: ${service.started ? 'restarting' : 'starting'} ${unit}`);
    service.started = true;
    const spec = {
      command: program,
      args,
      cwd: parsed.workingDirectory ?? layout.root,
      env: parsed.environment,
      logFile: place.serialFile,
      pidFile: unitPid(unit),
    };
    await startProcess(spec, ({ code, signal: by }) => {
      say(`systemd: ${unit} ended (${code ?? by})`);
      service.over = parsed.restarts === 'no' || (parsed.restarts === 'on-failure' && code === 0);
      service.notBeforeMs = clock.now() + Math.min(parsed.restartMs, RESTART_MS_MAX);
    });
  }

  /** What systemd would do now: start what is wanted and not there, end what is there and not wanted. */
  async function lookAfterServices(facts: MachineFacts): Promise<void> {
    const wanted = readdirSync(layout.wanted);
    for (const unit of readdirSync(layout.restart)) {
      rmSync(join(layout.restart, unit), { force: true });
      const process = findProcess(unitPid(unit));
      if (process) await endProcess(process, clock, 5000);
      services.delete(unit);
    }
    for (const unit of services.keys()) {
      if (wanted.includes(unit)) continue;
      const process = findProcess(unitPid(unit));
      if (process) await endProcess(process, clock, 5000);
      services.delete(unit);
    }
    for (const unit of wanted) {
      const service = services.get(unit);
      if (service?.over || clock.now() < (service?.notBeforeMs ?? 0)) continue;
      if (findProcess(unitPid(unit))) {
        if (!service) services.set(unit, { notBeforeMs: 0, started: true, over: false });
        continue;
      }
      try {
        await startService(facts, unit);
      } catch (error) {
        // A broken unit is the guest's own trouble: it is told on its console, and the VM stays up.
        say(`systemd: ${unit} cannot be started: ${messageOf(error)}`);
        services.set(unit, { notBeforeMs: 0, started: true, over: true });
      }
    }
  }

  async function life(facts: MachineFacts, signal: AbortSignal): Promise<void> {
    if (!existsSync(layout.done)) {
      try {
        await firstBoot(facts, signal);
      } catch (error) {
        // As in Azure: what is wrong with the user data shows on the console, not in the VM's state.
        say(`cloud-init: ${messageOf(error)}`);
      }
    }
    while (!signal.aborted) {
      await lookAfterServices(facts);
      await clock.sleep(LOOK_MS, signal).catch(() => undefined);
    }
  }

  async function prepare(facts: MachineFacts): Promise<void> {
    if (!existsSync(layout.done)) {
      // An earlier first boot was cut short: nothing of it counts.
      for (const process of processes()) await endProcess(process, clock, 0);
      await rm(layout.root, { recursive: true, force: true });
      await rm(layout.wanted, { recursive: true, force: true });
    }
    for (const folder of [layout.root, layout.bin, layout.wanted, layout.restart])
      mkdirSync(folder, { recursive: true });
    await writeFile(join(layout.bin, 'systemctl'), SYSTEMCTL, { mode: 0o755 });
    await linkDisks(layout, facts);
    for (const process of processes()) signalGroup(process, 'SIGCONT');
  }

  return {
    status: () => (running === undefined ? 'stopped' : 'running'),
    async start(facts) {
      if (running) return linkDisks(layout, facts);
      await prepare(facts);
      const abort = new AbortController();
      const over = life(facts, abort.signal).catch((error: unknown) => {
        place.log.error('a guest failed', { vm: facts.id, why: messageOf(error) });
        running = undefined;
      });
      running = { abort, over };
    },
    async stop(how) {
      const was = running;
      running = undefined;
      was?.abort.abort();
      await was?.over;
      services.clear();
      await Promise.all(
        processes().map((process) => endProcess(process, clock, how === 'kill' ? 1000 : 5000)),
      );
    },
    disksChanged: (facts) => linkDisks(layout, facts),
    async freeze() {
      for (const process of processes()) signalGroup(process, 'SIGSTOP');
    },
    async thaw() {
      for (const process of processes()) signalGroup(process, 'SIGCONT');
    },
    async listening(_facts, wanted: readonly NicPort[]): Promise<Endpoint[]> {
      const sockets = listeningSockets();
      return wanted.flatMap(({ nicId, port }) => {
        const address = place.addressOf(nicId);
        return sockets.has(`${address}:${port}`) ? [{ nicId, port, address, hostPort: port }] : [];
      });
    },
    tookEnd: () => undefined,
  };
}

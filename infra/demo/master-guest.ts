import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../src/clock.ts';
import { messageOf, StandbyError } from '../../src/errors.ts';
import type { Firmware } from '../../src/model/disk.ts';
import { FIRMWARE_CODE, FIRMWARE_VARIABLES, QEMU } from '../local/guests/qemu-command.ts';
import { withQmp } from '../local/guests/qmp.ts';
import { isAlive, markOf, type ProcessMark } from '../local/processes.ts';
import { WEB_PORT } from './master-image.ts';

/**
 * The live on-premises server: a QEMU guest whose disk the master's engine serves over NBD. When the engine dies, QEMU
 * keeps the guest's writes back and goes on once somebody serves the disk again. It is found again by its command
 * line (left-processes.ts), so nothing about it has to be written down in time.
 */
export interface MasterGuest {
  readonly mark: ProcessMark;
  /** Both on the loopback address of this machine. */
  readonly databasePort: number;
  readonly webPort: number;
}

export interface MasterGuestSpec {
  /** Its own; made here. */
  readonly folder: string;
  /** `nbd+unix:///EXPORT?socket=PATH` or `nbd://HOST:PORT/EXPORT`. */
  readonly diskUri: string;
  readonly firmware: Firmware;
  /** Where the guest listens. */
  readonly databasePort: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const READY_MS = 20_000;
/** How long the guest's writes wait for an engine that comes back. */
const RECONNECT_SECONDS = 120;

export async function startMasterGuest(spec: MasterGuestSpec): Promise<MasterGuest> {
  const { folder, clock } = spec;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const variables = join(folder, 'firmware-variables.fd');
  if (spec.firmware === 'uefi' && !existsSync(variables)) await copyFile(FIRMWARE_VARIABLES, variables);
  await rm(join(folder, 'qmp.sock'), { force: true });
  const log = await open(join(folder, 'qemu.log'), 'a', 0o600);
  try {
    const child = spawn(QEMU, qemuArguments(spec), {
      cwd: folder,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8' },
    });
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('spawn', () => resolve());
    });
    child.unref();
    const mark = markOf(child.pid ?? 0);
    return { mark, ...(await forwardedPorts(mark, spec, clock.now() + READY_MS)) };
  } finally {
    await log.close();
  }
}

function qemuArguments({ folder, diskUri, firmware, databasePort }: MasterGuestSpec): string[] {
  const pflash =
    firmware === 'uefi'
      ? [
          ['-drive', `if=pflash,format=raw,readonly=on,file=${FIRMWARE_CODE}`],
          ['-drive', 'if=pflash,format=raw,file=firmware-variables.fd'],
        ].flat()
      : [];
  const forwarded = [databasePort, WEB_PORT].map((port) => `hostfwd=tcp:127.0.0.1:0-:${port}`).join(',');
  const disk = { driver: 'raw', 'node-name': 'os', discard: 'unmap', file: nbdNode(diskUri) };
  return [
    // Also what this process is known by: its folder's name on its command line.
    ...['-pidfile', join(folder, 'qemu.pid')],
    ...['-name', 'master01', '-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max'],
    ...['-smp', '1', '-m', '384', '-display', 'none', '-vga', 'none', '-nodefaults', '-monitor', 'none'],
    ...['-chardev', 'file,id=serial,path=serial.log,append=on', '-serial', 'chardev:serial'],
    ...['-qmp', 'unix:qmp.sock,server=on,wait=off'],
    ...pflash,
    ...['-blockdev', JSON.stringify(disk), '-device', 'virtio-blk-pci,drive=os,bootindex=1'],
    ...['-netdev', `user,id=net,restrict=on,${forwarded}`],
    ...['-device', 'virtio-net-pci,netdev=net,romfile='],
  ];
}

function nbdNode(diskUri: string): Record<string, unknown> {
  const uri = new URL(diskUri);
  const path = uri.searchParams.get('socket');
  const server = path ? { type: 'unix', path } : { type: 'inet', host: uri.hostname, port: uri.port };
  const name = decodeURIComponent(uri.pathname.replace(/^\/+/, ''));
  return { driver: 'nbd', server, export: name, 'reconnect-delay': RECONNECT_SECONDS };
}

/** Which port of this machine leads to that of the guest; QEMU lists: kind, handle, source, port, destination, port. */
function portBefore(port: number, table: string): number {
  const line = table.split('\n').map((each) => each.trim().split(/\s+/));
  const found = line.find(([kind, , , , , to]) => kind === 'TCP[HOST_FORWARD]' && to === String(port));
  return Number(found?.[3] ?? 0);
}

/** QEMU chooses the ports itself, so that nobody else can have taken them meanwhile. */
async function forwardedPorts(
  mark: ProcessMark,
  spec: MasterGuestSpec,
  untilMs: number,
): Promise<Pick<MasterGuest, 'databasePort' | 'webPort'>> {
  const { clock, signal, folder } = spec;
  let why = '';
  while (isAlive(mark) && clock.now() < untilMs) {
    try {
      // By way of the process's own folder: a socket's path must not be long.
      const table = await withQmp(`/proc/${mark.pid}/cwd/qmp.sock`, (qmp) => qmp.human('info usernet'));
      const [databasePort, webPort] = [spec.databasePort, WEB_PORT].map((port) => portBefore(port, table));
      if (databasePort && webPort) return { databasePort, webPort };
      why = table;
    } catch (error) {
      // Not listening yet, or gone: the next look tells.
      why = messageOf(error);
    }
    await clock.sleep(50, signal);
  }
  const said = await readFile(join(folder, 'qemu.log'), 'utf8');
  throw new StandbyError({
    code: 'DEMO_SERVER_NOT_STARTED',
    what: 'The on-premises server did not start in QEMU.',
    why: said.trim().slice(-400) || why,
  });
}

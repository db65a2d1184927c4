import { appendFileSync, constants, existsSync, readFileSync } from 'node:fs';
import { copyFile, rename, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { messageOf } from '../../../src/errors.ts';
import { NO_GUEST_LINE } from '../../../src/ports/cloud-machines.ts';
import { ArmError } from '../arm/arm-error.ts';
import { type Endpoint, type Guest, type GuestPlace, hiddenPort, type NicPort } from './guest.ts';
import type { MachineFacts } from './machine-facts.ts';
import {
  type Ended,
  endProcess,
  findProcess,
  isAlive,
  type ProcessId,
  startProcess,
  waitGone,
} from './processes.ts';
import {
  dataDiskBlock,
  dataDiskName,
  FIRMWARE_CODE,
  FIRMWARE_VARIABLES,
  isReadable,
  QEMU,
  qemuArguments,
} from './qemu-command.ts';
import { type Qmp, withQmp } from './qmp.ts';

/**
 * A VM that boots from its attached OS disk in QEMU. The process outlives Local Azure's death and is found again by
 * its pid file; its monitor is reached through the process's own working folder, whatever the length of our paths.
 * Its disks are the managed disks' own files. Without QEMU nothing runs, and status says so (`simulated`).
 */
const READY_MS = 20_000;
const SHUTDOWN_MS = 4000;
const PROBE_MS = 150;
/** A port that has not answered for this long is looked at less often. */
const EAGER_PROBE_MS = 120_000;

export function isQemuThere(): boolean {
  return isReadable(QEMU);
}

export function makeQemuGuest(place: GuestPlace): Guest {
  const { clock } = place;
  const pidFile = place.pidFile('qemu');
  /** What QEMU itself says; the serial log is the guest's alone. */
  const ownLog = join(place.folder, 'qemu.log');
  const open = new Set<string>();
  let process: ProcessId | undefined;
  let ended: Ended | undefined;
  let launchedHere = false;
  let wanted = false;
  let startedAtMs = 0;
  let lastProbeMs = 0;

  const monitor = <T>(target: ProcessId, work: (qmp: Qmp) => Promise<T>) =>
    withQmp(`/proc/${target.pid}/cwd/qmp.sock`, work);
  const alive = () => (process !== undefined && isAlive(process) ? process : undefined);

  /** Ready when the monitor answers. */
  async function awaitMonitor(): Promise<ProcessId> {
    const until = clock.now() + READY_MS;
    for (;;) {
      const found = findProcess(pidFile);
      if (found && existsSync(`/proc/${found.pid}/cwd/qmp.sock`)) {
        try {
          await monitor(found, (qmp) => qmp.execute('query-status'));
          return found;
        } catch (error) {
          // Not listening yet, or gone; the next look tells.
          place.log.debug('QEMU is not ready yet', { why: messageOf(error) });
        }
      }
      if (ended !== undefined || clock.now() > until) {
        throw new ArmError(
          500,
          'OSProvisioningInternalError',
          `OS Provisioning failed for VM: QEMU did not start (${ended?.code ?? ended?.signal ?? 'no answer'}). ${readFileSync(ownLog, 'utf8').slice(-500).trim()}`,
        );
      }
      await clock.sleep(30);
    }
  }

  async function launch(facts: MachineFacts): Promise<void> {
    const variables = join(place.folder, 'firmware-variables.fd');
    if (facts.generation === 'V2') {
      if (!isReadable(FIRMWARE_CODE)) {
        throw new ArmError(
          500,
          'OSProvisioningInternalError',
          'OVMF is not installed: a generation 2 VM cannot boot here.',
        );
      }
      if (!existsSync(variables)) await copyFile(FIRMWARE_VARIABLES, variables, constants.COPYFILE_EXCL);
    }
    await rm(join(place.folder, 'qmp.sock'), { force: true });
    ended = undefined;
    launchedHere = true;
    startedAtMs = clock.now();
    const spec = {
      command: QEMU,
      args: qemuArguments(facts, place.folder),
      cwd: place.folder,
      env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8' },
      logFile: ownLog,
      pidFile,
    };
    await startProcess(spec, (how) => {
      ended = how;
    });
    process = await awaitMonitor();
  }

  async function adopt(found: ProcessId): Promise<void> {
    process = found;
    launchedHere = false;
    startedAtMs = clock.now();
    await monitor(found, (qmp) => qmp.execute('cont'));
  }

  async function reconcileDisks(target: ProcessId, facts: MachineFacts): Promise<void> {
    await monitor(target, async (qmp) => {
      const nodes = (await qmp.execute('query-named-block-nodes', { flat: true })) as {
        'node-name'?: string;
        file?: string;
      }[];
      const plugged = new Map(
        nodes.flatMap((node) => {
          const name = node['node-name'] ?? '';
          return /^lun\d+$/.test(name) ? [[name, node.file ?? ''] as const] : [];
        }),
      );
      const next = new Map(facts.dataDisks.map((disk) => [dataDiskName(disk.lun), disk]));
      for (const [name, file] of plugged) {
        if (next.get(name)?.file === file) continue;
        await qmp.execute('device_del', { id: `disk-${name}` });
        await removeNode(qmp, name);
        plugged.delete(name);
      }
      for (const [name, disk] of next) {
        if (plugged.has(name)) continue;
        await qmp.execute('blockdev-add', dataDiskBlock(disk.lun, disk.file));
        const slot = { bus: 'data.0', 'scsi-id': 0, lun: disk.lun, drive: name, id: `disk-${name}` };
        await qmp.execute('device_add', { driver: 'scsi-hd', ...slot });
      }
    });
  }

  /** The guest lets a disk go in its own time; until then its file is in use. */
  async function removeNode(qmp: Qmp, name: string): Promise<void> {
    const until = clock.now() + 5000;
    for (;;) {
      try {
        await qmp.execute('blockdev-del', { 'node-name': name });
        return;
      } catch (error) {
        if (clock.now() > until || !/in use/i.test(messageOf(error))) throw error;
        await clock.sleep(50);
      }
    }
  }

  const keyOf = ({ nicId, port }: NicPort) => `${nicId.toLowerCase()} ${port}`;

  /** A forwarded port accepts before the guest does; only a connection that the guest has answered proves it. */
  async function probe(target: ProcessId, facts: MachineFacts, closed: readonly NicPort[]): Promise<void> {
    const places = closed.map((entry) => ({
      entry,
      index: facts.nics.findIndex((nic) => nic.id === entry.nicId),
      address: place.addressOf(entry.nicId),
      hostPort: hiddenPort(entry.port),
    }));
    await monitor(target, async (qmp) => {
      const known = await qmp.human('info usernet');
      for (const at of places) {
        if (listed(known, 'HOST_FORWARD', at.address, at.hostPort)) continue;
        const refused = await qmp.human(
          `hostfwd_add net${at.index} tcp:${at.address}:${at.hostPort}-:${at.entry.port}`,
        );
        if (refused !== '')
          place.log.warn('a port could not be forwarded', { port: at.entry.port, why: refused });
      }
      const sockets = places.map((at) => {
        const socket = connect(at.hostPort, at.address);
        // What matters is what QEMU says about it.
        socket.on('error', () => undefined);
        return socket;
      });
      await clock.sleep(PROBE_MS);
      const now = await qmp.human('info usernet');
      for (const socket of sockets) socket.destroy();
      for (const at of places) {
        if (listed(now, 'ESTABLISHED', at.address, at.hostPort)) open.add(keyOf(at.entry));
      }
    });
  }

  return {
    status() {
      if (!isQemuThere()) return 'simulated';
      if (alive()) return 'running';
      return wanted && ended !== undefined && ended.code !== 0 ? 'failed' : 'stopped';
    },
    async start(facts) {
      wanted = true;
      if (!isQemuThere()) {
        appendFileSync(place.serialFile, `${NO_GUEST_LINE}QEMU is not installed on this machine\n`);
        return;
      }
      if (alive()) return;
      open.clear();
      const found = findProcess(pidFile);
      if (found) await adopt(found);
      else await launch(facts);
    },
    async stop(how) {
      wanted = false;
      const target = alive() ?? findProcess(pidFile);
      open.clear();
      process = undefined;
      if (target === undefined) return;
      try {
        if (how === 'shutdown') {
          await monitor(target, (qmp) => qmp.execute('system_powerdown'));
          if (await waitGone(target, clock, SHUTDOWN_MS)) return;
        }
        await monitor(target, (qmp) => qmp.execute('quit'));
        await waitGone(target, clock, 2000);
      } catch (error) {
        place.log.debug('QEMU did not take the request; it is ended', { why: messageOf(error) });
      }
      await endProcess(target, clock, 500);
    },
    async disksChanged(facts) {
      const target = alive();
      if (target) await reconcileDisks(target, facts);
    },
    async takePicture(file) {
      const target = alive();
      if (!target) return;
      // Beside it first: somebody may be reading the one of before.
      const fresh = `${file}.new`;
      await monitor(target, (qmp) => qmp.execute('screendump', { filename: fresh, format: 'png' }));
      await rename(fresh, file);
    },
    async freeze() {
      const target = alive();
      if (target) await monitor(target, (qmp) => qmp.execute('stop'));
    },
    async thaw() {
      const target = alive();
      if (target) await monitor(target, (qmp) => qmp.execute('cont'));
    },
    async listening(facts, ports) {
      const target = alive();
      if (target === undefined) return [];
      const closed = ports.filter((port) => !open.has(keyOf(port)));
      const pauseMs = clock.now() - startedAtMs < EAGER_PROBE_MS ? 400 : 5000;
      if (closed.length > 0 && clock.now() - lastProbeMs >= pauseMs) {
        await probe(target, facts, closed);
        lastProbeMs = clock.now();
      }
      return ports
        .filter((port) => open.has(keyOf(port)))
        .map(
          (port): Endpoint => ({
            ...port,
            address: place.addressOf(port.nicId),
            hostPort: hiddenPort(port.port),
          }),
        );
    },
    tookEnd() {
      if (!wanted || process === undefined || isAlive(process)) return undefined;
      // How our own child ended is told a moment later.
      if (launchedHere && ended === undefined) return undefined;
      process = undefined;
      open.clear();
      return ended?.code === 0 ? 'shut-down' : 'died';
    },
  };
}

/** A line of `info usernet`: `TCP[ESTABLISHED] 21 127.9.9.9 64592 10.0.0.4 80 0 0`. */
function listed(table: string, state: string, address: string, port: number): boolean {
  return table.split('\n').some((line) => {
    const [head, , source, sourcePort] = line.trim().split(/\s+/);
    return head === `TCP[${state}]` && source === address && sourcePort === String(port);
  });
}

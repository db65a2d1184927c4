import type { Clock } from '../../../src/clock.ts';
import type { Log } from '../../../src/log.ts';
import type { ResourceGraph } from '../arm/behaviour.ts';

/**
 * What carries the virtual machines of Local Azure: QEMU and local engine processes, or nothing at all
 * (`--guests none`). The graph says what should run (the VM resource's hidden power state); the host makes it so.
 * Every call is idempotent. No guest outlives Local Azure's orderly end; a kill -9 of Local Azure leaves them
 * running, and `resume` of the next start takes them over, or starts again what should run and does not.
 */
export interface GuestHost {
  readonly kind: 'qemu' | 'none';
  /** Called once when Local Azure starts, after the graph is open and the listener answers. */
  resume(): Promise<void>;
  /** Resolves when the guest's process runs. Throws an ArmError (AllocationFailed, OSProvisioning...) when it cannot. */
  start(vmId: string): Promise<void>;
  /** `shutdown` asks the guest first and gives it a bounded time; `kill` pulls the plug. Gone = content. */
  stop(vmId: string, how: 'shutdown' | 'kill'): Promise<void>;
  status(vmId: string): GuestStatus;
  /** The serial console so far, as a file below the data folder; undefined when there is none yet. */
  serialLogFile(vmId: string): string | undefined;
  /** Has the screen's picture taken into `screenshot.bmp` beside the serial log, if there is a screen. Never throws. */
  takePicture(vmId: string): Promise<void>;
  /** Data disks were attached or detached on this VM (the graph already shows it). */
  disksChanged(vmId: string): Promise<void>;
  /** A NIC, public IP, subnet or security group changed (the graph already shows it): re-evaluate forwarders. */
  networkChanged(): Promise<void>;
  /** Runs `work` while the guest holds still, so that a copy of its disks is of one moment. Not running = just runs it. */
  whileFrozen<T>(vmId: string, work: () => Promise<T>): Promise<T>;
  /** What is reachable from outside just now, for `standby local status`. */
  forwards(): readonly Forward[];
  /** The VM is deleted: end it and forget its files. */
  forget(vmId: string): Promise<void>;
  /** Ends every guest, bounded. */
  stopAll(): Promise<void>;
}

/** One port of a public IP. `listenPort` differs from `port` where this user may not bind ports below 1024. */
export interface Forward {
  readonly vmId: string;
  readonly publicIp: string;
  readonly port: number;
  readonly listenPort: number;
}

/** `simulated`: guests are off (`none`), and the power state is what was asked for. */
export type GuestStatus = 'running' | 'stopped' | 'failed' | 'simulated';

/** What a guest host is made from. `guests/index.ts` exports `makeGuestHost: MakeGuestHost`. */
export interface GuestHostFacts {
  readonly kind: 'qemu' | 'none';
  readonly graph: ResourceGraph;
  /** The same folder as ArmContext.dataFolder. */
  readonly dataFolder: string;
  /** For processes that must be found again after a kill -9 (pid files and the like); exists. */
  readonly runFolder: string;
  /** PEM of Local Azure's authority: what a guest needs to trust the blob service. */
  readonly caFile: string;
  readonly clock: Clock;
  readonly log: Log;
}
export type MakeGuestHost = (facts: GuestHostFacts) => Promise<GuestHost>;

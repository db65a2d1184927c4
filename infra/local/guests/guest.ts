import type { Clock } from '../../../src/clock.ts';
import type { Log } from '../../../src/log.ts';
import type { GuestStatus } from './guest-host.ts';
import type { MachineFacts } from './machine-facts.ts';

/** One VM's guest, whatever carries it. Facts are handed in anew at each call; every call is idempotent. */
export interface Guest {
  status(): GuestStatus;
  /** Runs it, or takes over what runs already. Throws an ArmError when it cannot. */
  start(facts: MachineFacts): Promise<void>;
  stop(how: 'shutdown' | 'kill'): Promise<void>;
  disksChanged(facts: MachineFacts): Promise<void>;
  /** Writes what its screen shows now into a file, as PNG; only a guest with a screen has it. */
  takePicture?(file: string): Promise<void>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Of these ports of a NIC, those on which something in the guest listens, with where they are on this machine. */
  listening(facts: MachineFacts, wanted: readonly NicPort[]): Promise<readonly Endpoint[]>;
  /** It ended by itself since the last look: shut down from inside, or died. */
  tookEnd(): 'shut-down' | 'died' | undefined;
}

export interface NicPort {
  readonly nicId: string;
  readonly port: number;
}

export interface Endpoint extends NicPort {
  readonly address: string;
  readonly hostPort: number;
}

/** What a guest is given for its life. */
export interface GuestPlace {
  /** Its files; exists. */
  readonly folder: string;
  readonly pidFile: (name: string) => string;
  readonly serialFile: string;
  readonly caFile: string;
  readonly clock: Clock;
  readonly log: Log;
  /** A loopback address of its own for each NIC, the same after a restart. */
  addressOf(nicId: string): string;
}

/** Ports below 1024 are for root only: within a guest's own address they lie above 64511. */
export function hiddenPort(port: number): number {
  return port < 1024 ? 64_512 + port : port;
}

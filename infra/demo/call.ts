import type { Clock } from '../../src/clock.ts';
import type { Log } from '../../src/log.ts';
import type { Firmware } from '../../src/model/disk.ts';
import type { Host } from '../../src/ports/host.ts';
import type { RowsFound } from './rows.ts';

/** How the command line starts the demo. */
export interface DemoCall {
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
  readonly homeFolder: string;
  readonly host: Host;
  readonly json: boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly processId: number;
  readonly cacheFolder: string;
  /** For the commands it starts: this process's own, less Standby's variables. */
  readonly environment: NodeJS.ProcessEnv;
  /** The one document of `--json`. */
  print(document: unknown): void;
}

/** `nbd`: the server runs while it is copied, and is killed. `at-rest`: its disk is copied, it never runs. */
export type DemoCapture = 'nbd' | 'at-rest';

/** `switchover` ends on the standby. `outage` holds a drill before, and brings the server home afterwards. */
export type DemoStory = 'switchover' | 'outage';

/** What the demo found out; with `--json` this is the document it ends with. */
export interface DemoFacts {
  ok: boolean;
  firmware: Firmware;
  /** Bytes of the master's disk, and bytes of data that travelled. */
  diskBytes: number;
  copiedBytes: number;
  copySeconds: number;
  copyMibPerSecond: number;
  switchoverSeconds: number;
  /** From the VM's creation to its first answer. */
  bootSeconds: number;
  standby: { vmId: string; publicIp: string; url: string; sha256: string };
  master: { sha256: string };
  /** Of a live server: what became of the rows that its client wrote. */
  rows?: RowsFound;
  /** Of a live server: how old the state was, when it died, that the standby came up with. */
  rpoSeconds?: number;
  /** Of the story of an outage. */
  outage?: Partial<OutageFacts>;
}

export interface OutageFacts {
  drill: { readonly outcome: string; readonly boot: string; readonly rowsMeanwhile: number };
  /** What the operator was told would be lost, before the switchover was confirmed. */
  lossStatement: string;
  /** That travelled home while the standby worked, and after it was stopped. */
  failback: { readonly preparedBytes: number; readonly finishedBytes: number };
  rows: OutageRows;
  /** That the replica lacked, when the server was protected again. */
  protectedAgain: { readonly state: string; readonly sentBytes: number };
  seconds: Partial<Record<OutageSpan, number>>;
}

/** `finish`: the standby is stopped. `boot`: until the server at home answered. */
export type OutageSpan = 'drill' | 'prepare' | 'finish' | 'boot' | 'protect';

export interface OutageRows {
  /** By the client; the last of them perhaps without an answer. */
  readonly written: number;
  readonly acknowledged: number;
  readonly received: number;
  readonly presentAfterSwitchover: number;
  readonly writtenInCloud: number;
  readonly presentAfterFailback: number;
  /** Of those received and those written in the cloud, not at home. */
  readonly lost: number;
}

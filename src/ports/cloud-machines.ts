import type { StandbyTags } from '../model/tags.ts';
import type { Operation } from './cloud.ts';

export interface CloudMachine {
  readonly id: string;
  readonly name: string;
  readonly resourceGroup: string;
  readonly location: string;
  readonly size: string;
  readonly zone?: string;
  readonly provisioning: string;
  /** `running`, `deallocated`, `stopped`, `starting`, ...; only from `instance`. */
  readonly power?: string;
  readonly nicIds: readonly string[];
  readonly osDiskId?: string;
  readonly osType?: 'Linux' | 'Windows';
  /** The name that Azure gave the guest; a VM made from attached disks has none. */
  readonly computerName?: string;
  readonly dataDisks: readonly { readonly diskId: string; readonly lun: number }[];
  readonly tags: Readonly<Record<string, string>>;
}
export interface CloudMachines {
  list(location?: string): Promise<readonly CloudMachine[]>;
  get(id: string): Promise<CloudMachine | undefined>;
  /** With power state. */
  instance(id: string): Promise<CloudMachine | undefined>;
  /** From disks that are already filled: createOption Attach, no osProfile, boot diagnostics on. */
  createFromDisks(
    spec: {
      readonly resourceGroup: string;
      readonly name: string;
      readonly location: string;
      readonly size: string;
      readonly zone?: string;
      readonly osDiskId: string;
      readonly osType: 'Linux' | 'Windows';
      readonly dataDisks: readonly { readonly diskId: string; readonly lun: number }[];
      /** The first is primary. */
      readonly nicIds: readonly string[];
      readonly tags: StandbyTags;
    },
    operation?: Operation,
  ): Promise<CloudMachine>;
  /** The appliance: from a marketplace image, with cloud-init user data (plain text; encoded here). */
  createFromImage(
    spec: {
      readonly resourceGroup: string;
      readonly name: string;
      readonly location: string;
      readonly size: string;
      readonly zone?: string;
      readonly image: {
        readonly publisher: string;
        readonly offer: string;
        readonly sku: string;
        readonly version: string;
      };
      readonly osDiskName: string;
      readonly adminUser: string;
      readonly sshPublicKey: string;
      readonly userData: string;
      readonly dataDisks: readonly { readonly diskId: string; readonly lun: number }[];
      readonly nicIds: readonly string[];
      readonly tags: StandbyTags;
    },
    operation?: Operation,
  ): Promise<CloudMachine>;
  start(id: string, operation?: Operation): Promise<void>;
  powerOff(id: string, operation?: Operation): Promise<void>;
  deallocate(id: string, operation?: Operation): Promise<void>;
  /** Deletes the VM resource only; its disks and NICs stay. */
  delete(id: string, scenario: string, operation?: Operation): Promise<void>;
  /**
   * Tries attachDetachDataDisks; falls back to the VM update when the subscription does not have that API.
   * Idempotent by disk. Throws LUN_TAKEN when another disk has come to one of these LUNs meanwhile.
   */
  attachDisks(
    id: string,
    disks: readonly { readonly diskId: string; readonly lun: number }[],
    operation?: Operation,
  ): Promise<CloudMachine>;
  detachDisks(id: string, diskIds: readonly string[], operation?: Operation): Promise<CloudMachine>;
  /** Serial console so far; undefined when the blob is not there yet. */
  serialLog(id: string): Promise<string | undefined>;
  /** What its screen shows, as an image file; undefined when there is no picture. */
  screenshot(id: string): Promise<Uint8Array | undefined>;
}
/**
 * How the line begins that Local Azure gives as the serial console of a VM behind which nothing runs (`--guests none`,
 * or no QEMU on the machine), so that a boot proof says `skipped` at once and never `passed`. The reason follows.
 */
export const NO_GUEST_LINE = 'boot skipped: ';

/** The VM in Azure (or a server of one's own) that receives changes and holds the replica disks. */
export const ENGINE_PORT = 25000;

export interface Appliance {
  readonly id: string;
  /** The VM's name, or the name given to a server of one's own; unique. */
  readonly name: string;
  /** Where control and masters dial it. */
  readonly address: string;
  readonly port: number;
  /** Absent for a server of one's own. */
  readonly azure?: {
    readonly accountId: string;
    readonly vmId: string;
    readonly resourceGroup: string;
    readonly region: string;
  };
  /** `pending` until control has exchanged the one-time token for a certificate. */
  readonly enrolment: 'pending' | 'enrolled';
  readonly createdAtMs: number;
}

/** A master known to control: joined with a one-time token through an appliance. */
export interface Master {
  readonly id: string;
  /** Its host name; unique. */
  readonly name: string;
  readonly applianceId: string;
  readonly inventory: MasterInventoryRef;
  readonly joinedAtMs: number;
}

type MasterInventoryRef = import('./disk.ts').MasterInventory;

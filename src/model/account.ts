/** A registered Azure service principal. The client secret is kept elsewhere, encrypted; it is never a field here. */
export type CloudEnvironment = 'public' | 'us-government' | 'china' | 'custom';

/** A cloud by URL: a sovereign cloud we do not know, or Local Azure. */
export interface CustomCloud {
  readonly resourceManagerUrl: string;
  readonly authorityUrl: string;
  /** PEM text of the certificate authority that signed the cloud's own certificates, when it is not a public one. */
  readonly caPem?: string;
}

export interface Account {
  readonly id: string;
  /** The account e-mail: the label people see, unique. */
  readonly name: string;
  readonly subscriptionId: string;
  readonly tenantId: string;
  readonly applicationId: string;
  readonly environment: CloudEnvironment;
  readonly custom?: CustomCloud;
  /** YYYY-MM-DD, when the client secret ends; asked for, optional. */
  readonly secretExpiresOn?: string;
  readonly createdAtMs: number;
}

const DAY_MS = 86_400_000;

/** Whole days from today (UTC) to a date YYYY-MM-DD; negative when it is over. */
export function daysUntil(date: string, nowMs: number): number {
  return Math.round((Date.parse(`${date}T00:00:00Z`) - Math.floor(nowMs / DAY_MS) * DAY_MS) / DAY_MS);
}

/** How clients find the standby, as a scenario says it. The key of a dynamic update is a secret and lies elsewhere. */
export const TSIG_ALGORITHMS = ['hmac-sha256', 'hmac-sha384', 'hmac-sha512'] as const;
export type TsigAlgorithm = (typeof TSIG_ALGORITHMS)[number];

/** The A record that is changed. */
interface RecordToChange {
  /** In full: `www.example.com`. */
  readonly name: string;
  /** Which address of the standby's first NIC it gets; unless told the public one where there is one, and in a private zone the private one. */
  readonly address?: 'public' | 'private';
  /** Of the changed record; as it was unless told. */
  readonly ttlSeconds?: number;
}

/** RFC 2136, signed (TSIG). */
export interface DnsUpdateRedirect extends RecordToChange {
  readonly kind: 'dns-update';
  /** `host` or `host:port`; an IPv6 address in brackets. */
  readonly server: string;
  readonly zone: string;
  readonly keyName: string;
  readonly keyAlgorithm: TsigAlgorithm;
}

/** A record in Azure DNS, or in Azure Private DNS, of the scenario's own subscription. */
export interface AzureDnsRedirect extends RecordToChange {
  readonly kind: 'azure-dns' | 'azure-private-dns';
  readonly resourceGroup: string;
  readonly zone: string;
}

export type ScenarioRedirect = DnsUpdateRedirect | AzureDnsRedirect;

/** Parts of a switchover that scripts may stand around. */
const SCRIPT_PHASES = ['seal', 'build', 'boot', 'redirect'] as const;
type ScriptPhase = (typeof SCRIPT_PHASES)[number];
export type ScriptMoment = `before-${ScriptPhase}` | `after-${ScriptPhase}`;
export const SCRIPT_MOMENTS: readonly ScriptMoment[] = SCRIPT_PHASES.flatMap((phase) => [
  `before-${phase}` as const,
  `after-${phase}` as const,
]);

/** A program of the user's own, on the machine that control runs on. */
export interface ScenarioScript {
  readonly at: ScriptMoment;
  /** The program and its arguments; no shell. */
  readonly command: readonly string[];
  readonly timeoutSeconds: number;
}

/** What a redirection changed, for the way home. */
export interface RedirectedRecord {
  readonly name: string;
  readonly before: { readonly addresses: readonly string[]; readonly ttlSeconds: number };
  readonly after: { readonly addresses: readonly string[]; readonly ttlSeconds: number };
}

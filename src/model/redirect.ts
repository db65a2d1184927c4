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

export const SCRIPT_EVENTS = ['SWITCHOVER', 'DRILL', 'FAILBACK'] as const;
export type ScriptEvent = (typeof SCRIPT_EVENTS)[number];

/** Parts of a switchover, a drill or a failback that scripts may stand around. */
type ScriptPhase = 'seal' | 'build' | 'boot' | 'restore' | 'redirect';
export type ScriptMoment = `before-${ScriptPhase}` | `after-${ScriptPhase}`;

const around = (...phases: ScriptPhase[]): readonly ScriptMoment[] =>
  phases.flatMap((phase) => [`before-${phase}` as const, `after-${phase}` as const]);

/** In the order in which they come. A drill redirects nobody. */
export const MOMENTS_OF: Readonly<Record<ScriptEvent, readonly ScriptMoment[]>> = {
  SWITCHOVER: around('seal', 'build', 'boot', 'redirect'),
  DRILL: around('seal', 'build', 'boot'),
  FAILBACK: around('restore', 'redirect'),
};
export const SCRIPT_MOMENTS: readonly ScriptMoment[] = [
  ...new Set(SCRIPT_EVENTS.flatMap((event) => MOMENTS_OF[event])),
];

/** A program of the user's own, on the machine that control runs on. */
export interface ScenarioScript {
  readonly at: ScriptMoment;
  /** Of a switchover only unless told: a drill must surprise nobody with a script that is meant for the real thing. */
  readonly events?: readonly ScriptEvent[];
  /** The program and its arguments; no shell. */
  readonly command: readonly string[];
  readonly timeoutSeconds: number;
}

export function scriptsOf(
  scripts: readonly ScenarioScript[] | undefined,
  event: ScriptEvent,
): readonly ScenarioScript[] {
  return (scripts ?? []).filter((script) => eventsOf(script).includes(event));
}

/** `after-boot`, or `after-boot@SWITCHOVER+DRILL`: as people write it. */
export function momentText({ at, events }: Pick<ScenarioScript, 'at' | 'events'>): string {
  return events ? `${at}@${events.join('+')}` : at;
}

/** What is wrong with them together; undefined when nothing is. */
export function scriptsProblem(scripts: readonly ScenarioScript[]): string | undefined {
  const seen = new Set<string>();
  for (const script of scripts) {
    for (const event of eventsOf(script)) {
      const moment = `${script.at}@${event}`;
      if (!MOMENTS_OF[event].includes(script.at))
        return `${moment} does not exist: the moments of a ${event} are ${MOMENTS_OF[event].join(', ')}.`;
      if (seen.has(moment)) return `${moment} stands there twice.`;
      seen.add(moment);
    }
  }
  return undefined;
}

const eventsOf = ({ events = ['SWITCHOVER'] }: ScenarioScript): readonly ScriptEvent[] => events;

/** What a redirection changed, for the way home. */
export interface RedirectedRecord {
  readonly name: string;
  readonly before: { readonly addresses: readonly string[]; readonly ttlSeconds: number };
  readonly after: { readonly addresses: readonly string[]; readonly ttlSeconds: number };
}

/** Every Azure resource we make carries these three tags; we delete only what carries our own. */
export interface StandbyTags {
  readonly 'standby-scenario': string;
  readonly 'standby-run': string;
  readonly 'standby-role': ResourceRole;
}
export type ResourceRole =
  | 'appliance'
  | 'backup'
  | 'failback-disk'
  | 'failback-snapshot'
  | 'replica-disk'
  | 'snapshot'
  | 'standby-disk'
  | 'standby-nic'
  | 'standby-public-ip'
  | 'standby-vm'
  | DrillRole;
/** What a drill makes is never taken for a standby's. */
export type DrillRole =
  | 'drill-snapshot'
  | 'drill-disk'
  | 'drill-nic'
  | 'drill-vm'
  | 'drill-public-ip'
  | 'drill-network'
  | 'drill-security-group';

/** `scenario` is `appliance/<name>` for what belongs to an appliance and no scenario. */
export function tagsOf(scenario: string, run: string, role: ResourceRole): StandbyTags {
  return { 'standby-scenario': scenario, 'standby-run': run, 'standby-role': role };
}

export function carriesOurTag(tags: Readonly<Record<string, string>> | undefined, scenario: string): boolean {
  return tags?.['standby-scenario'] === scenario;
}

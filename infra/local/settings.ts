import { inputError } from '../../src/errors.ts';
import type { SubscriptionSettings } from './arm/behaviour.ts';
import type { Directory } from './directory.ts';
import type { State } from './state.ts';

/** What tests change: everything else about the subscription is fixed when the folder is made. */
export type SettingsChange = Partial<Omit<SubscriptionSettings, 'subscriptionId' | 'tenantId'>>;

export interface Settings {
  now(): SubscriptionSettings;
  /** Kept in the state: survives a restart. */
  change(change: SettingsChange): SubscriptionSettings;
}

export const DEFAULT_LOCATION = 'japaneast';

const LOCATIONS: readonly (readonly [string, string])[] = [
  ['japaneast', 'Japan East'],
  ['japanwest', 'Japan West'],
  ['eastus', 'East US'],
  ['eastus2', 'East US 2'],
  ['westus2', 'West US 2'],
  ['northeurope', 'North Europe'],
  ['westeurope', 'West Europe'],
  ['germanywestcentral', 'Germany West Central'],
  ['uksouth', 'UK South'],
  ['southeastasia', 'Southeast Asia'],
  ['australiaeast', 'Australia East'],
];

const DEFAULTS: Omit<SubscriptionSettings, 'subscriptionId' | 'tenantId'> = {
  displayName: 'Local Azure',
  locations: LOCATIONS.map(([name, displayName]) => ({ name, displayName })),
  quotas: {},
  attachDetachDataDisks: true,
  basicPublicIps: false,
  pageSize: 100,
  tokenLifetimeSeconds: 3599,
  permissions: { actions: ['*'], notActions: [] },
  roleAssignments: [],
  denyAssignments: [],
  locks: [],
  policyAssignments: [],
};

const DOCUMENT = 'settings';

export function makeSettings(state: State, directory: Directory): Settings {
  const { subscriptionId, tenantId } = directory;
  const load = () => state.getDocument<SettingsChange>(DOCUMENT) ?? {};
  const now = () => ({ ...DEFAULTS, ...load(), subscriptionId, tenantId });
  return {
    now,
    change(change) {
      const unknown = Object.keys(change).find((name) => !(name in DEFAULTS));
      if (unknown !== undefined)
        throw inputError('SETTING_UNKNOWN', `Local Azure has no setting '${unknown}'.`);
      state.setDocument(DOCUMENT, { ...load(), ...change });
      return now();
    },
  };
}

import type { Behaviour, ProviderRoute } from '../arm/behaviour.ts';
import { computeRoutes } from './compute-routes.ts';
import { disks } from './disks.ts';
import { dnsLabels } from './dns-labels.ts';
import { dnsARecords, dnsZones, privateDnsARecords, privateDnsZones } from './dns-zones.ts';
import { networkInterfaces } from './network-interfaces.ts';
import { networkSecurityGroups } from './network-security-groups.ts';
import { networkUsages } from './network-usages.ts';
import { publicIpAddresses } from './public-ip-addresses.ts';
import { routeTables } from './route-tables.ts';
import { securityRules } from './security-rules.ts';
import { snapshots } from './snapshots.ts';
import { storageAccounts, storageRoutes } from './storage-accounts.ts';
import { subnets } from './subnets.ts';
import { virtualMachines } from './virtual-machines.ts';
import { virtualNetworks } from './virtual-networks.ts';

/** Every resource type Local Azure knows: one file each, one line here. */
export const behaviours: readonly Behaviour[] = [
  virtualNetworks,
  subnets,
  networkInterfaces,
  publicIpAddresses,
  networkSecurityGroups,
  securityRules,
  routeTables,
  disks,
  snapshots,
  virtualMachines,
  storageAccounts,
  dnsZones,
  dnsARecords,
  privateDnsZones,
  privateDnsARecords,
];

/** What hangs below a provider: skus, usages, name checks. */
export const providerRoutes: readonly ProviderRoute[] = [
  ...computeRoutes,
  networkUsages,
  dnsLabels,
  ...storageRoutes,
];

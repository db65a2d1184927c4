import { createHash } from 'node:crypto';
import type { Scenario } from './scenario.ts';

/**
 * Azure names are derived, never invented: the same scenario and run give the same names, so a rerun finds
 * what an interrupted run made. Rules: disks and snapshots 1-80 characters of a-z A-Z 0-9 _ . -, NICs and
 * public IPs 1-80, storage accounts 3-24 of a-z 0-9 (Microsoft's resource name rules).
 */
export function shortId(text: string, length = 6): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length);
}

function fitted(text: string, suffix: string, lengthMax = 80): string {
  const clean =
    text
      .toLowerCase()
      .replace(/[^a-z0-9-]/g, '-')
      .replace(/^-+|-+$/g, '') || 'x';
  return `${clean.slice(0, lengthMax - suffix.length - 1).replace(/-+$/, '')}-${suffix}`;
}

type ScenarioKey = Pick<Scenario, 'id' | 'name'>;

/** The replica of one master disk; it outlives runs. */
export function replicaDiskName(scenario: ScenarioKey, diskId: string): string {
  return fitted(scenario.name, `replica-${diskId}-${shortId(scenario.id)}`);
}
export function snapshotName(scenario: ScenarioKey, runId: string, diskId: string): string {
  return fitted(scenario.name, `snap-${diskId}-${shortId(scenario.id + runId)}`);
}
/** One disk of a backup of the standby, by the backup's run. */
export function backupSnapshotName(scenario: ScenarioKey, runId: string, diskId: string): string {
  return fitted(scenario.name, `backup-${diskId}-${shortId(scenario.id + runId)}`);
}
export function standbyDiskName(scenario: ScenarioKey, runId: string, diskId: string): string {
  return fitted(scenario.name, `disk-${diskId}-${shortId(scenario.id + runId)}`);
}
export function standbyNicName(scenario: ScenarioKey, runId: string, nicId: string): string {
  return fitted(scenario.name, `nic-${nicId}-${shortId(scenario.id + runId)}`);
}
export function standbyPublicIpName(scenario: ScenarioKey, runId: string, nicId: string): string {
  return fitted(scenario.name, `pip-${nicId}-${shortId(scenario.id + runId)}`);
}

/** Azure allows a VM 64 characters. */
export function drillVmName(vmName: string, runId: string): string {
  return fitted(vmName, `drill-${shortId(runId)}`, 64);
}
export function drillNetworkName(scenario: ScenarioKey, runId: string): string {
  return fitted(scenario.name, `drill-vnet-${shortId(scenario.id + runId)}`, 64);
}
export function drillSecurityGroupName(scenario: ScenarioKey, runId: string): string {
  return fitted(scenario.name, `drill-nsg-${shortId(scenario.id + runId)}`);
}

export function applianceNames(applianceName: string) {
  return {
    vm: applianceName,
    nic: fitted(applianceName, 'nic'),
    publicIp: fitted(applianceName, 'pip'),
    networkSecurityGroup: fitted(applianceName, 'nsg'),
    virtualNetwork: fitted(applianceName, 'vnet'),
    journalDisk: fitted(applianceName, 'journal'),
    osDisk: fitted(applianceName, 'os'),
  } as const;
}

/** One storage account for a subscription and resource group; it carries the engine's bundle only. */
export function storageAccountName(subscriptionId: string, resourceGroup: string): string {
  return `standby${shortId(`${subscriptionId}/${resourceGroup}`.toLowerCase(), 16)}`;
}

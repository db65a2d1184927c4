import type { Check, Explained, Finding } from '../check.ts';
import { doubtful, ok, warning } from '../check.ts';

/** What the master found out about itself (docs/WINDOWS.md): each is to be read, and accepted, by a person. */
const CODES = {
  CLUSTER_NODE: warning(
    'The master is a node of a cluster. A scenario protects this node’s own disks; the cluster and its shared disks stay with its other nodes.',
    'Protect each node with a scenario of its own. Detach shared disks before a standby takes the node’s place. Then accept the warning.',
  ),
  SHARED_DISKS_LEFT: warning(
    'Disks that other servers may write to as well are not copied.',
    'Protect what is on them by other means; or, if a disk is this server’s alone, name it when the master joins (--disk).',
  ),
  NETWORK_VOLUMES: warning(
    'The master uses volumes that lie on other machines (iSCSI, shares). They are not copied.',
    'Make sure that the standby reaches them, or protect them by themselves. An iSCSI disk can be named when the master joins (--disk).',
  ),
  DISKS_LEFT: warning(
    'Disks of the master are not copied: they are offline, can be unplugged, or were not named.',
    'Nothing, if the standby can do without them; else bring them online and join again.',
  ),
  VOLUMES_UNSHADOWED: warning(
    'Windows makes no shadow copies of these volumes, so capture compare cannot read them at one moment.',
    'Leave them out of the scenario, or make them NTFS.',
  ),
  NIC_TEAM: warning(
    'NICs of the master work as one. The standby has a NIC of its own in Azure, which is in no team.',
    'Nothing, for its address: the new NIC gets it by DHCP. What is bound to the team by name (a virtual switch, an application’s setting) is to be changed on the standby.',
  ),
  BITLOCKER_SUSPENDED: warning(
    'BitLocker is suspended. The copy is read through Windows, so the standby’s volumes are not encrypted by BitLocker.',
    'Accept it, if Azure’s own encryption of disks is enough; else turn BitLocker on again on the standby.',
  ),
  REBOOT_PENDING: warning(
    'The master waits for a restart, and its standby would finish an update when it starts.',
    'Restart the master at a quiet hour.',
  ),
  DRIVERS_NOT_AT_BOOT: warning(
    'Drivers that Hyper-V needs do not start at boot.',
    '`standby master prepare` on the master shows what it would change, asks, and changes it.',
  ),
  CRASH_CONSISTENT: warning(
    'This Windows has no diskshadow (client editions): volumes are shadowed one after the other, without writers. Each point is like a pulled plug, volume by volume.',
    'Use a server edition where an application must be consistent.',
  ),
} as const satisfies Readonly<Record<string, Explained>>;

export const masterNotices: Check = {
  id: 'master-notices',
  title: 'What the master tells',
  group: 'Master',
  uses: [],
  codes: CODES,
  moments: ['create', 'run'],
  async run({ inventory }): Promise<readonly Finding[]> {
    if (!inventory) return [];
    const findings = (inventory.notices ?? []).flatMap(({ code, found }) => {
      const explained = Object.entries(CODES).find(([known]) => known === code)?.[1];
      return explained ? [doubtful(code, found, 'read and accepted', explained.cure)] : [];
    });
    return findings.length > 0 ? findings : [ok('MASTER_NOTICES_NONE', 'nothing that a person must know')];
  },
};

import { StandbyError } from '../../errors.ts';
import type { MasterDisk, MasterInventory, MasterNic, MasterNotice } from '../../model/disk.ts';
import {
  chooseDisks,
  type DiskChoice,
  isClusterpro,
  pathOf,
  tableIdOf,
  titleOf,
  unshadowedVolumes,
} from './disk-choice.ts';
import { letterOf, volumeNameOf, type WindowsDocument } from './inventory-document.ts';

/**
 * What Windows told, as the model says it. Pure: the same document gives the same inventory. What lies on the disks is
 * read from them by whoever asked (src/master/inventory.ts), so that both systems name their volumes alike.
 */
interface WindowsFacts {
  readonly choice: DiskChoice;
  readonly facts: Pick<MasterInventory, 'os' | 'firmware' | 'nics' | 'bootId' | 'timeZone' | 'notices'>;
  readonly hostName: string;
}

/** Windows 10 and Server 2016: older ones do not run the pinned Node. */
const OLDEST_BUILD = 14393;
const FIRMWARE_UEFI = 2;
const BOOT_DRIVERS = ['storvsc', 'vmbus', 'storflt', 'intelide', 'atapi'] as const;

export function windowsFacts(document: WindowsDocument, named: readonly string[]): WindowsFacts {
  if (document.os.build < OLDEST_BUILD) throw tooOld(document);
  const choice = chooseDisks(document, named);
  const { name, build, bootedMs } = document.os;
  return {
    choice,
    hostName: document.hostName,
    facts: {
      os: { family: 'windows', name: `${name.trim()} (build ${build})` },
      firmware: document.firmwareType === FIRMWARE_UEFI ? 'uefi' : 'bios',
      nics: nicsOf(document),
      bootId: `booted-${bootedMs}`,
      timeZone: document.timeZone,
      notices: noticesOf(document, choice),
    },
  };
}

/** The paths under which disks that have joined are found today: Windows may have numbered them anew. */
export function pathsToday(document: WindowsDocument, known: readonly MasterDisk[]): string[] {
  return known.map((disk) => {
    if (!disk.tableId) return disk.path;
    const found = document.disks.filter((one) => tableIdOf(one) === disk.tableId);
    const [only] = found;
    if (only && found.length === 1) return pathOf(only);
    throw new StandbyError({
      code: 'DISK_VANISHED',
      what: `Disk ${disk.id} (${disk.path}, ${disk.tableId}) is ${only ? 'there more than once' : 'no longer there'}.`,
      next: only ? 'Take its copy off the server.' : 'Bring it back, or join again without it.',
    });
  });
}

function nicsOf({ nics }: WindowsDocument): MasterNic[] {
  const worth = (nic: WindowsDocument['nics'][number]) => (nic.gateways.length > 0 ? 0 : 1);
  const ordered = [...nics].sort(
    (a, b) => worth(a) - worth(b) || (a.metric ?? 0) - (b.metric ?? 0) || a.index - b.index,
  );
  const told = ordered.map((nic, index) => {
    const networks = nic.addresses.flatMap((address, at) => {
      if (/^fe80:/i.test(address)) return [];
      return [`${address}/${prefixOf(nic.masks[at])}`];
    });
    return {
      id: `nic${index}`,
      name: (nic.name || nic.description || `nic${index}`).slice(0, 64),
      ...(nic.mac ? { mac: nic.mac } : {}),
      addresses: networks.map((network) => network.split('/')[0] ?? ''),
      networks,
      gateways: nic.gateways,
      dnsServers: nic.dnsServers,
      dhcp: nic.dhcp,
    };
  });
  return told.length > 0 ? told : [{ id: 'nic0', name: 'nic0', addresses: [] }];
}

/** `255.255.255.0` of version 4, `64` of version 6. */
export function prefixOf(mask: string | undefined): number {
  if (mask === undefined) return 0;
  if (!mask.includes('.')) return Number(mask);
  const bits = mask.split('.').map((part) => Number(part).toString(2).padStart(8, '0'));
  return bits.join('').indexOf('0') === -1 ? 32 : bits.join('').indexOf('0');
}

function noticesOf(document: WindowsDocument, { taken, left }: DiskChoice): MasterNotice[] {
  const notices: MasterNotice[] = [];
  const add = (code: string, found: readonly string[]) => {
    if (found.length > 0) notices.push({ code, found: `${found.join('; ')}.`.slice(0, 2000) });
  };
  add('CLUSTER_NODE', clustersOf(document));
  const leftOf = (kind: string) =>
    left.filter((one) => one.kind === kind).map(({ disk, why }) => `${titleOf(disk)}: ${why}`);
  add('SHARED_DISKS_LEFT', leftOf('shared'));
  add('NETWORK_VOLUMES', [...leftOf('network'), ...networkVolumes(document)]);
  add('DISKS_LEFT', leftOf('other'));
  add('VOLUMES_UNSHADOWED', unshadowedVolumes(taken, document));
  add('NIC_TEAM', teamsOf(document));
  add('BITLOCKER_SUSPENDED', suspendedVolumes(document));
  add(
    'REBOOT_PENDING',
    document.pendingReboot.map((why) => PENDING[why]),
  );
  add('DRIVERS_NOT_AT_BOOT', lateDrivers(document));
  if (!document.diskshadow) add('CRASH_CONSISTENT', ['This Windows has no diskshadow']);
  return notices;
}

const PENDING = {
  servicing: 'Windows servicing waits for a restart',
  update: 'Windows Update waits for a restart',
  renames: 'files are to be renamed at the next start',
} as const;

function clustersOf(document: WindowsDocument): string[] {
  const { hive, services } = document.cluster;
  const isNode =
    hive || services.some(({ name, startMode }) => name === 'ClusSvc' && startMode !== 'Disabled');
  return [
    ...(isNode ? ['It is a node of a Windows failover cluster'] : []),
    ...(isClusterpro(document) ? ['It is a node of CLUSTERPRO'] : []),
  ];
}

function networkVolumes({ iscsiSessions, shares }: WindowsDocument): string[] {
  return [
    ...iscsiSessions
      .filter(({ IsConnected }) => IsConnected)
      .map(({ TargetNodeAddress }) => `iSCSI session to ${TargetNodeAddress}`),
    ...shares.map(({ letter, remote }) => `${letter}: is ${remote}`),
  ];
}

const TEAMS = { lbfo: 'team', set: 'team in the virtual switch' } as const;

function teamsOf({ teams }: WindowsDocument): string[] {
  return teams.map(
    ({ name, kind, members }) => `${TEAMS[kind]} ${name} of ${members.join(', ') || 'no NIC'}`,
  );
}

function suspendedVolumes({ bitlocker, partitions }: WindowsDocument): string[] {
  return bitlocker
    .filter(({ ProtectionStatus, ConversionStatus }) => ProtectionStatus === 0 && ConversionStatus === 1)
    .map(({ DeviceID }) => {
      const own = partitions.find((one) => volumeNameOf(one)?.toLowerCase() === DeviceID.toLowerCase());
      return `volume ${letterOf(own?.DriveLetter) ?? DeviceID}`;
    });
}

function lateDrivers({ drivers }: WindowsDocument): string[] {
  return BOOT_DRIVERS.flatMap((name) => {
    const driver = drivers[name];
    // The IDE drivers are gone from newer Windows; without a Hyper-V one nothing starts.
    if (!driver) return name === 'intelide' || name === 'atapi' ? [] : [`${name} is not there`];
    const isAtBoot = driver.start === 0 && driver.override.every((start) => start === 0);
    return isAtBoot
      ? []
      : [`${name} starts with ${driver.override.find((start) => start !== 0) ?? driver.start}`];
  });
}

function tooOld({ os }: WindowsDocument): StandbyError {
  return new StandbyError({
    code: 'WINDOWS_TOO_OLD',
    what: `${os.name.trim()} (${os.version}) does not run the engine: it needs Windows Server 2016 or newer.`,
    next: 'Shut it down and copy its disks at rest: attach them to, or export them as raw images for, a Linux machine, and join from there (docs/WINDOWS.md).',
    kind: 'input',
  });
}

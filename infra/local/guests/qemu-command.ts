import { accessSync, constants } from 'node:fs';
import { formatAddress, parsePrefix } from '../network/addresses.ts';
import type { MachineFacts, NicFacts } from './machine-facts.ts';

/**
 * The command line of a guest. Emulation only: where /dev/kvm exists it need not boot anything. A guest reaches
 * nothing outside (`restrict=on`): it is a copy of somebody's server and must not talk to what the original talks to.
 */
export const QEMU = '/usr/bin/qemu-system-x86_64';
export const FIRMWARE_CODE = '/usr/share/OVMF/OVMF_CODE_4M.fd';
export const FIRMWARE_VARIABLES = '/usr/share/OVMF/OVMF_VARS_4M.fd';

export function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

/** In QEMU's option lists a comma within a value is written twice. */
function value(text: string): string {
  return text.replaceAll(',', ',,');
}

/** The guest gets its NIC's own private address by DHCP; the subnet's first address is its gateway, as in Azure. */
function netdev(nic: NicFacts, index: number): string {
  const prefix = parsePrefix(nic.subnetPrefix);
  const own =
    prefix === undefined
      ? ''
      : `,net=${nic.subnetPrefix},host=${formatAddress(prefix.first + 1)},dns=${formatAddress(prefix.first + 3)},dhcpstart=${nic.privateIp}`;
  return `user,id=net${index},restrict=on${own}`;
}

export function dataDiskName(lun: number): string {
  return `lun${lun}`;
}

/** A data disk's part that is the same at start and when it is plugged in later. */
export function dataDiskBlock(lun: number, file: string) {
  return {
    driver: 'raw',
    'node-name': dataDiskName(lun),
    discard: 'unmap',
    file: { driver: 'file', filename: file, discard: 'unmap' },
  } as const;
}

export function qemuArguments(facts: MachineFacts, folder: string): string[] {
  const firmware =
    facts.generation === 'V2'
      ? [
          ['-drive', `if=pflash,format=raw,readonly=on,file=${FIRMWARE_CODE}`],
          ['-drive', `if=pflash,format=raw,file=${value(`${folder}/firmware-variables.fd`)}`],
        ].flat()
      : [];
  const nics = facts.nics.flatMap((nic, index) => [
    ...['-netdev', netdev(nic, index)],
    ...['-device', `virtio-net-pci,netdev=net${index},mac=${nic.mac},romfile=`],
  ]);
  const dataDisks = facts.dataDisks.flatMap(({ lun, file }) => [
    ...['-blockdev', JSON.stringify(dataDiskBlock(lun, file))],
    ...[
      '-device',
      `scsi-hd,bus=data.0,scsi-id=0,lun=${lun},drive=${dataDiskName(lun)},id=disk-${dataDiskName(lun)}`,
    ],
  ]);
  return [
    ...['-name', value(facts.name), '-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max'],
    ...['-smp', '1', '-m', '384', '-display', 'none', '-vga', 'none', '-nodefaults', '-monitor', 'none'],
    ...['-chardev', 'file,id=serial,path=serial.log,append=on', '-serial', 'chardev:serial'],
    ...['-qmp', 'unix:qmp.sock,server=on,wait=off'],
    ...firmware,
    ...['-drive', `id=os,if=none,format=raw,cache=writeback,discard=unmap,file=${value(facts.osDiskFile)}`],
    ...['-device', 'virtio-blk-pci,drive=os,bootindex=1'],
    ...['-device', 'virtio-scsi-pci,id=data'],
    ...dataDisks,
    ...nics,
    // The last, so that no other device changes its place on the bus: what a screenshot shows.
    ...['-device', 'VGA'],
  ];
}

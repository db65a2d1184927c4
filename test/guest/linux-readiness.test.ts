import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readReadiness } from '../../src/guest/readiness/readiness.ts';
import {
  BUILT_IN,
  type Files,
  grubWith,
  HYPER_V,
  INITRD,
  initrd,
  linuxDisk,
  MODULES,
  ROOT_UUID,
} from './linux-disk.ts';
import { faultsOf } from './readiness-faults.ts';
import { deviceOf } from './volumes.ts';

const BOUND = 'SUBSYSTEM=="net", ATTR{address}=="52:54:00:5a:00:07", NAME="eth0"\n';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-linux-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('Linux', () => {
  it.each([
    ['bios', 1],
    ['uefi', 2],
  ] as const)('is ready when every fact is as it should be (%s)', async (style, generation) => {
    const result = await readReadiness(deviceOf(linuxDisk(folder, { style })));
    expect(result.verdicts.filter(({ status }) => status !== 'ok')).toEqual([]);
    expect(result).toMatchObject({
      verdict: 'ready',
      generation,
      os: { family: 'linux', name: 'Test Linux 1' },
    });
    expect(result.verdicts.length).toBeGreaterThan(12);
  });

  const faults: readonly [string, Files, RegExp][] = [
    [
      'ROOT_NAME error',
      { 'boot/grub/grub.cfg': grubWith('root=/dev/sda1 ro console=ttyS0') },
      /root=\/dev\/sda1/,
    ],
    ['ROOT_NAME error', { 'boot/grub/grub.cfg': grubWith('root=UUID=1111 ro console=ttyS0') }, /no volume/],
    ['CONSOLE warning', { 'boot/grub/grub.cfg': grubWith(`root=UUID=${ROOT_UUID} ro quiet`) }, /ttyS0/],
    ['BOOT_ENTRY error', { [INITRD]: null }, /initrd\.img/],
    ['BOOT_ENTRY error', { 'boot/grub/grub.cfg': null }, /no boot configuration/],
    ['FSTAB_NAMES error', { 'etc/fstab': '/dev/sdb1 /data ext4 defaults 0 2\n' }, /\/dev\/sdb1 on \/data/],
    ['FSTAB_NAMES warning', { 'etc/fstab': '/dev/vdb1 /data ext4 nofail 0 2\n' }, /vdb1/],
    [
      'ROUTES warning',
      { 'etc/network/interfaces': 'iface eth0 inet dhcp\n  up ip route add 10.9.0.0/16 via 10.0.0.1\n' },
      /^etc\/network\/interfaces$/,
    ],
    [
      'NIC_TEAM warning',
      { 'etc/netplan/1.yaml': 'network:\n  bonds:\n    bond0:\n      dhcp4: true\n' },
      /bond or team in etc\/netplan\/1\.yaml/,
    ],
    ['FSTAB_NETWORK warning', { 'etc/fstab': 'files:/x /mnt nfs defaults 0 0\n' }, /files:\/x/],
    [
      'DHCP warning',
      { 'etc/network/interfaces': 'iface eth0 inet static\n  address 10.0.0.5/24\n' },
      /eth0 static/,
    ],
    ['NIC_NAMES error', { 'etc/network/interfaces': 'iface ens33 inet dhcp\n' }, /only ens33/],
    [
      'PERSISTENT_NET warning',
      { 'etc/udev/rules.d/70-persistent-net.rules': 'SUBSYSTEM=="net", NAME="eth1"\n' },
      /70-.*names any NIC/,
    ],
    [
      'PERSISTENT_NET warning',
      {
        'etc/udev/rules.d/70-persistent-net.rules': BOUND,
        'lib/udev/rules.d/75-persistent-net-generator.rules': '',
      },
      /udev adds a name/,
    ],
    [
      'NIC_NAMES error',
      {
        'etc/network/interfaces': 'auto lo\n',
        'etc/netplan/50-cloud-init.yaml':
          'network:\n  ethernets:\n    eth0:\n      dhcp4: true\n      match:\n        macaddress: "52:54:00:5a:00:07"\n      set-name: eth0\n',
      },
      /only eth0 with the MAC 52:54:00:5a:00:07/,
    ],
  ];
  it.each(faults)('with one wrong fact has the verdict %s and no other', async (fault, files, found) => {
    const result = await faultsOf(linuxDisk(folder, { files }));
    expect(result.faults).toEqual([fault]);
    expect(result.found).toMatch(found);
    expect(result.verdict).toBe(fault.endsWith('error') ? 'not ready' : 'ready');
  });

  it('is ready though rules of udev name the NICs that its master has, by their MACs', async () => {
    const files = { 'etc/udev/rules.d/70-persistent-net.rules': BOUND };
    const silenced = {
      ...files,
      'lib/udev/rules.d/75-persistent-net-generator.rules': '# notes each NIC\n',
      'etc/udev/rules.d/75-persistent-net-generator.rules': '',
    };
    for (const some of [files, silenced])
      expect((await faultsOf(linuxDisk(folder, { files: some }))).faults).toEqual([]);
  });

  it('is refused without what its firmware looks for', async () => {
    expect((await faultsOf(linuxDisk(folder, { withoutLoader: true }))).faults).toEqual(['BOOT_CODE error']);
    const uefi = await faultsOf(linuxDisk(folder, { style: 'uefi', withoutLoader: true }));
    expect(uefi).toMatchObject({ verdict: 'not ready', faults: ['BOOT_FILES error'] });
  });

  it('is told the addresses and suffixes that it takes along', async () => {
    const files = {
      'etc/hosts': '127.0.0.1 localhost\n::1 ip6-localhost\n10.0.0.7 db # old\n',
      'etc/resolv.conf': 'search example.test\nnameserver 10.0.0.1\n',
    };
    const { verdict, verdicts } = await readReadiness(deviceOf(linuxDisk(folder, { files })));
    const found = (code: string) => verdicts.find((one) => one.code === code)?.found;
    expect([verdict, found('HOSTS_FILE'), found('DNS_SUFFIX')]).toEqual([
      'ready',
      'db = 10.0.0.7',
      'example.test',
    ]);
  });

  it.each(['gzip', 'zstd', 'plain', 'early'] as const)(
    'needs its drivers in the RAM disk (%s)',
    async (kind) => {
      for (const [index, driver] of ['VMBUS', 'STORVSC', 'NETVSC'].entries()) {
        const some = HYPER_V.filter((_, at) => at !== index);
        const files = { [INITRD]: initrd(folder, some, kind), [MODULES]: '' };
        expect((await faultsOf(linuxDisk(folder, { files }))).faults).toEqual([`INITRD_HV_${driver} error`]);
      }
      expect(
        (await faultsOf(linuxDisk(folder, { files: { [INITRD]: initrd(folder, HYPER_V, kind) } }))).faults,
      ).toEqual([]);
    },
  );

  it('may have its drivers built in, and the network’s on the root file system', async () => {
    const none = { [INITRD]: initrd(folder, [], 'gzip') };
    const builtIn = { [BUILT_IN]: 'kernel/drivers/hv/hv-vmbus.ko\nkernel/drivers/scsi/hv_storvsc.ko\n' };
    expect((await faultsOf(linuxDisk(folder, { files: { ...none, ...builtIn } }))).faults).toEqual([]);
  });

  it('is not proven when its RAM disk cannot be read, and says why', async () => {
    const xz = Buffer.concat([Buffer.from('fd377a585a00', 'hex'), Buffer.alloc(5000, 7)]);
    const cut = initrd(folder, HYPER_V, 'gzip');
    for (const [bytes, why] of [
      [xz, 'compressed with xz'],
      [cut.subarray(0, cut.length / 2), 'cannot be unpacked (gzip)'],
      [Buffer.alloc(3000, 0x55), 'not a cpio archive'],
    ] as const) {
      const result = await faultsOf(linuxDisk(folder, { files: { [INITRD]: bytes } }));
      expect(result.verdict).toBe('not proven');
      expect(result.faults).toContain('INITRD_HV_STORVSC skipped');
      expect(result.found).toContain(why);
    }
  });

  it.each<[string, Files, string[]]>([
    [
      'netplan',
      { 'etc/netplan/50.yaml': 'network:\n  version: 2\n  ethernets:\n    ens33:\n      dhcp4: true\n' },
      ['NIC_NAMES error'],
    ],
    [
      'netplan with a pattern',
      {
        'etc/netplan/50.yaml':
          'network:\n  ethernets:\n    all:\n      match:\n        name: "e*"\n      dhcp4: true\n',
      },
      [],
    ],
    [
      'netplan, static',
      { 'etc/netplan/50.yaml': 'network:\n  ethernets:\n    eth0:\n      addresses: [10.0.0.4/24]\n' },
      ['DHCP warning'],
    ],
    ['ifcfg', { 'etc/sysconfig/network-scripts/ifcfg-eth0': 'DEVICE=eth0\nBOOTPROTO=dhcp\n' }, []],
    [
      'ifcfg, static',
      { 'etc/sysconfig/network-scripts/ifcfg-eth0': 'BOOTPROTO=none\nIPADDR=10.0.0.4\n' },
      ['DHCP warning'],
    ],
    [
      'NetworkManager, static',
      {
        'etc/NetworkManager/system-connections/a.nmconnection':
          '[connection]\ntype=ethernet\n[ipv4]\nmethod=manual\n',
      },
      ['DHCP warning'],
    ],
    [
      'ifcfg of one MAC',
      { 'etc/sysconfig/network-scripts/ifcfg-eth0': 'BOOTPROTO=dhcp\nHWADDR=52:54:00:5A:00:07\n' },
      ['NIC_NAMES error'],
    ],
    [
      'NetworkManager of one MAC',
      {
        'etc/NetworkManager/system-connections/a.nmconnection':
          '[connection]\ntype=ethernet\n[ethernet]\nmac-address=52:54:00:5A:00:07\n[ipv4]\nmethod=auto\n',
      },
      ['NIC_NAMES error'],
    ],
    [
      'networkd of one MAC',
      { 'etc/systemd/network/a.network': '[Match]\nMACAddress=52:54:00:5a:00:07\n[Network]\nDHCP=yes\n' },
      ['NIC_NAMES error'],
    ],
    ['networkd', { 'etc/systemd/network/a.network': '[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n' }, []],
    ['NetworkManager by itself', { 'etc/NetworkManager/NetworkManager.conf': '[main]\n' }, []],
    ['nothing', {}, ['DHCP warning']],
  ])('has its network read from %s', async (_, files, expected) => {
    const disk = linuxDisk(folder, { files: { 'etc/network/interfaces': null, ...files } });
    expect((await faultsOf(disk)).faults).toEqual(expected);
  });

  it('with entries of the boot loader in files of their own is judged by the newest', async () => {
    const entry = (options: string) =>
      `title x\nlinux /boot/vmlinuz-6.1.0-test\ninitrd /boot/initrd.img-6.1.0-test\noptions ${options}\n`;
    const files = {
      'boot/grub/grub.cfg': 'blscfg\n',
      'boot/loader/entries/a-6.9.0.conf': entry('root=/dev/sda1 console=ttyS0'),
      'boot/loader/entries/a-6.10.0.conf': entry(`root=UUID=${ROOT_UUID} console=ttyS0`),
    };
    expect((await faultsOf(linuxDisk(folder, { files }))).faults).toEqual([]);
    const shared = {
      'boot/grub/grub.cfg': 'blscfg\n',
      'boot/loader/entries/a-6.10.0.conf': entry('$kernelopts quiet'),
      'boot/grub2/grubenv': '# GRUB Environment Block\nkernelopts=root=/dev/vda1 ro console=ttyS0 \n####\n',
    };
    expect((await faultsOf(linuxDisk(folder, { files: shared }))).faults).toEqual(['ROOT_NAME error']);
  });
});

describe('A disk with nothing on it', () => {
  it('proves nothing', async () => {
    const { verdict, os } = await readReadiness(deviceOf(Buffer.alloc(1024 * 1024)));
    expect([verdict, os.family]).toEqual(['not proven', 'unknown']);
  });
});

import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Log, silentLog } from '../../src/log.ts';
import { type PrepareOptions, prepareMaster, proposePrepare, undoPrepare } from '../../src/master/prepare.ts';
import { makeFolder } from '../fixtures/engines.ts';
import { linuxDisk, ROOT_UUID } from '../guest/linux-disk.ts';
import { faultsOf } from '../guest/readiness-faults.ts';

let root: string;
beforeEach(async () => {
  root = await makeFolder();
});
afterEach(() => rm(root, { recursive: true, force: true }));

const FSTAB =
  '/dev/sda1 / ext4 defaults 0 1\n/dev/sdb1  /data\text4 defaults 0 2\n/dev/sr0 /cd iso9660 noauto 0 0\n';
const FILES = {
  'etc/fstab': FSTAB,
  'etc/default/grub': 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="quiet"\n',
  'etc/initramfs-tools/modules': '# modules\nhv_vmbus',
  'etc/udev/rules.d/70-persistent-net.rules': 'SUBSYSTEM=="net", ATTR{address}=="00:11", NAME="eth7"\n',
  'lib/udev/rules.d/75-persistent-net-generator.rules': '# notes each NIC\n',
  'etc/network/interfaces':
    'auto lo\niface lo inet loopback\nauto ens3\niface ens3 inet static\n  address 10.0.0.5/24\n',
};

/** A Debian as its disk has it. */
function master(files: Readonly<Record<string, string>> = FILES): void {
  const modules = 'lib/modules/6.1/modules.dep';
  const drivers = 'kernel/drivers/hv/hv_vmbus.ko:\nkernel/drivers/scsi/hv_storvsc.ko.xz:\n';
  const commands = { 'usr/sbin/update-grub': '', 'usr/sbin/update-initramfs': '' };
  const all = { ...commands, ...files, [modules]: drivers, 'dev/sda1': '' };
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  chmodSync(join(root, 'etc/fstab'), 0o640);
  mkdirSync(join(root, 'dev/disk/by-uuid'), { recursive: true });
  symlinkSync('../../sda1', join(root, 'dev/disk/by-uuid', ROOT_UUID));
}

function filesOf(folder = root, below = ''): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(join(folder, below), { withFileTypes: true })) {
    const path = join(below, entry.name);
    if (entry.isDirectory()) Object.assign(found, filesOf(folder, path));
    else if (entry.isFile())
      found[path] = `${statSync(join(folder, path)).mode} ${readFileSync(join(folder, path))}`;
  }
  return found;
}

const options = (log: Log = silentLog): PrepareOptions => ({
  root,
  log,
  signal: new AbortController().signal,
});
const withoutRecord = ({ ...files }: Record<string, string>) => {
  delete files['var/lib/standby/prepare.json'];
  return files;
};

async function prepare(log?: Log) {
  return prepareMaster(options(log), await proposePrepare({ root }));
}

describe('Preparing a Linux master', () => {
  it('changes what stands in the way of its start in Azure, and nothing else', async () => {
    master();
    const proposal = await proposePrepare({ root });
    expect(filesOf()).toEqual(withoutRecord(filesOf()));
    expect(proposal.commands).toEqual([['update-initramfs', '-u', '-k', 'all'], ['update-grub']]);
    expect(proposal.left).toEqual([
      { code: 'FSTAB_NAMES', text: '/dev/sdb1 in /etc/fstab has no UUID that is known here.' },
    ]);
    const { done, commands } = await prepareMaster(options(), proposal);
    expect(commands).toEqual(proposal.commands);
    expect(done.map(({ path, how }) => `${path} ${how}`)).toEqual([
      '/etc/initramfs-tools/modules changed',
      '/etc/default/grub changed',
      '/etc/fstab changed',
      '/etc/udev/rules.d/75-persistent-net-generator.rules made',
      '/etc/network/interfaces changed',
    ]);
    const text = (path: string) => readFileSync(join(root, path), 'utf8');
    expect(text('etc/fstab')).toBe(FSTAB.replace('/dev/sda1', `UUID=${ROOT_UUID}`));
    expect(statSync(join(root, 'etc/fstab')).mode & 0o777).toBe(0o640);
    expect(text('etc/initramfs-tools/modules')).toBe('# modules\nhv_vmbus\nhv_storvsc\n');
    expect(text('etc/default/grub')).toContain(
      'GRUB_CMDLINE_LINUX="quiet console=tty0 console=ttyS0,115200n8"',
    );
    expect(text('etc/network/interfaces')).toContain(`${FILES['etc/network/interfaces']}\n# By`);
  });

  it('cures what readiness finds on its disk', async () => {
    const fstab = '/dev/sda1 / ext4 defaults 0 1\n';
    const own = { ...FILES, 'etc/fstab': fstab };
    master(own);
    const network = ['etc/udev/rules.d/75-persistent-net-generator.rules', 'etc/network/interfaces'] as const;
    const folder = await makeFolder();
    try {
      const before = linuxDisk(folder, { files: own });
      expect((await faultsOf(before)).faults).toEqual([
        'FSTAB_NAMES error',
        'DHCP warning',
        'NIC_NAMES error',
        'PERSISTENT_NET warning',
      ]);
      await prepare();
      const [rules, interfaces] = network;
      const after = {
        ...own,
        'etc/fstab': readFileSync(join(root, 'etc/fstab'), 'utf8'),
        [rules]: readFileSync(join(root, rules), 'utf8'),
        [interfaces]: readFileSync(join(root, interfaces), 'utf8'),
      };
      // Its own address stays fixed, on a NIC that the standby does not have.
      const cured = await faultsOf(linuxDisk(folder, { files: after }));
      expect(cured).toMatchObject({ verdict: 'ready', faults: ['DHCP warning'] });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('does nothing twice, and is taken back to the byte', async () => {
    master();
    const before = filesOf();
    await prepare();
    const after = filesOf();
    const again = await proposePrepare({ root });
    expect(again.changes).toEqual([]);
    await prepare();
    expect(filesOf()).toEqual(after);
    const undone = await undoPrepare(options());
    expect(undone).toMatchObject({ skipped: [], commands: again.pending });
    expect(filesOf()).toEqual(before);
    expect(await undoPrepare(options())).toEqual({ done: [], skipped: [], commands: [] });
  });

  it('leaves the rules that name the master’s own NICs, and names those that would name any', async () => {
    const any = 'SUBSYSTEM=="net", NAME="eth1"\n';
    const { 'lib/udev/rules.d/75-persistent-net-generator.rules': _noter, ...modern } = FILES;
    master({ ...modern, 'etc/udev/rules.d/71-persistent-net.rules': any });
    const { changes, left } = await proposePrepare({ root });
    expect(changes.map(({ code }) => code)).not.toContain('PERSISTENT_NET');
    expect(left.map(({ code, text }) => `${code} ${text}`)).toContainEqual(
      expect.stringMatching(/PERSISTENT_NET .*71-persistent-net\.rules names any NIC/),
    );
  });

  it('says so when what the master knows of eth0 holds for its own MAC only', async () => {
    const netplan =
      'network:\n  ethernets:\n    eth0:\n      dhcp4: true\n      match:\n        macaddress: "52:54:00:00:00:01"\n      set-name: eth0\n';
    master({ 'etc/fstab': 'UUID=1 / ext4 defaults 0 1\n', 'etc/netplan/50-cloud-init.yaml': netplan });
    const { left } = await proposePrepare({ root });
    expect(left.map(({ code }) => code)).toContain('NIC_NAMES');
  });

  it('leaves a file that somebody else has changed since as it is', async () => {
    master();
    await prepare();
    writeFileSync(join(root, 'etc/fstab'), 'another administrator\n');
    const { done, skipped } = await undoPrepare(options());
    expect(skipped).toEqual(['/etc/fstab']);
    expect(done).toHaveLength(4);
    expect(readFileSync(join(root, 'etc/fstab'), 'utf8')).toBe('another administrator\n');
  });

  it('killed after any file goes on where it was, or goes back', async () => {
    master();
    const before = filesOf();
    await prepare();
    const prepared = withoutRecord(filesOf());
    await undoPrepare(options());
    for (let cells = 0; cells < 5; cells++) {
      for (const goesBack of [false, true]) {
        await expect(prepare(dyingLog(cells))).rejects.toThrow('the machine is gone');
        if (!goesBack) {
          expect((await prepare()).commands).toHaveLength(2);
          expect(withoutRecord(filesOf())).toEqual(prepared);
        }
        await expect(undoPrepare(options(dyingLog(0)))).rejects.toThrow('the machine is gone');
        expect((await undoPrepare(options())).commands).toHaveLength(2);
        expect(filesOf()).toEqual(before);
      }
    }
  }, 120_000);

  it('runs what makes its files count until all of it has ended well', async () => {
    master();
    const ran: string[] = [];
    const run = (fails: string) => async (command: readonly string[]) => {
      ran.push(command[0] ?? '');
      if (command[0] === fails) throw new Error('it did not end well');
    };
    const start = async (fails: string) =>
      prepareMaster({ ...options(), run: run(fails) }, await proposePrepare({ root }));
    await expect(start('update-grub')).rejects.toThrow('it did not end well');
    expect((await proposePrepare({ root })).pending).toHaveLength(2);
    expect(await start('')).toMatchObject({ done: [], commands: [] });
    expect(await start('')).toMatchObject({ done: [], commands: [] });
    expect(ran).toEqual(['update-initramfs', 'update-grub', 'update-initramfs', 'update-grub']);
    await undoPrepare({ ...options(), run: run('') });
    expect(ran.slice(4)).toEqual(['update-initramfs', 'update-grub']);
  });

  it('adds drivers by dracut, a NIC by netplan, and touches nothing that is right already', async () => {
    // The settings of initramfs-tools stay behind where dracut has taken its place.
    const behind = { 'etc/initramfs-tools/modules': '# nothing\n', 'usr/bin/dracut': '' };
    master({ 'etc/fstab': 'UUID=1 / ext4 defaults 0 1\n', ...behind });
    rmSync(join(root, 'usr/sbin/update-initramfs'));
    mkdirSync(join(root, 'etc/dracut.conf.d'), { recursive: true });
    mkdirSync(join(root, 'etc/netplan'));
    writeFileSync(
      join(root, 'etc/netplan/50-cloud.yaml'),
      'network:\n  ethernets:\n    ens3:\n      dhcp4: true\n',
    );
    const { changes, commands, left } = await proposePrepare({ root });
    expect(changes.map(({ path, before }) => [path, before])).toEqual([
      ['/etc/dracut.conf.d/90-standby.conf', undefined],
      ['/etc/netplan/90-standby.yaml', undefined],
    ]);
    expect(commands).toEqual([['dracut', '--force', '--regenerate-all']]);
    expect(left).toEqual([]);
    await prepare();
    expect((await proposePrepare({ root })).changes).toEqual([]);
  });

  it('follows no link out of the system, and changes no file that is a link', async () => {
    const outside = await makeFolder();
    try {
      writeFileSync(join(outside, 'fstab'), FSTAB);
      writeFileSync(join(outside, 'modules'), '');
      master();
      await rm(join(root, 'etc/fstab'));
      symlinkSync(join(outside, 'fstab'), join(root, 'etc/fstab'));
      await rm(join(root, 'etc/initramfs-tools'), { recursive: true });
      symlinkSync(outside, join(root, 'etc/initramfs-tools'));
      const { changes } = await proposePrepare({ root });
      expect(changes.map(({ code }) => code).sort()).toEqual(['CONSOLE', 'NIC_NAMES', 'PERSISTENT_NET']);
    } finally {
      await rm(outside, { recursive: true, force: true });
    }
  });

  it('says that there is no system where it is told to look', async () => {
    for (const nowhere of [join(root, 'etc'), join(root, 'not there')])
      await expect(proposePrepare({ root: nowhere })).rejects.toMatchObject({ code: 'NO_LINUX_THERE' });
  });
});

/** The machine is gone when this one says its nth line. */
function dyingLog(lines: number): Log {
  let said = 0;
  return {
    ...silentLog,
    info: () => {
      if (said++ >= lines) throw new Error('the machine is gone');
    },
  };
}

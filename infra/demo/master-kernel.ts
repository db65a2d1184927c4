import { chmod, copyFile, mkdir, mkdtemp, readdir, rename, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { StandbyError } from '../../src/errors.ts';
import { command } from './command.ts';

/**
 * The master's kernel: Debian's cloud kernel package, downloaded and unpacked, not installed, with an initramfs
 * of our own. Kept in the cache folder; a half-made one never gets the final name.
 */
export interface KernelFiles {
  readonly kernel: string;
  readonly initrd: string;
  /** Folder with the modules of one kernel version, as under /lib/modules. */
  readonly modules: string;
}

const MODULES =
  `virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk virtio_net
  net_failover failover virtio_scsi scsi_mod scsi_common sd_mod t10-pi crc-t10dif crct10dif_common crct10dif_generic
  crc64-rocksoft crc64-rocksoft_generic crc64 libata ata_piix ata_generic hv_vmbus hv_storvsc hv_netvsc hv_utils
  scsi_transport_fc xen-blkfront vmw_pvscsi vmxnet3 virtio-rng rng-core`
    .split(/\s+/)
    .filter(Boolean);
const INITRAMFS_TOOLS = 'sh mount umount modprobe findfs switch_root cat echo mkdir usleep'.split(' ');

export async function kernelFiles(cacheFolder: string, signal?: AbortSignal): Promise<KernelFiles> {
  const final = join(cacheFolder, 'master-kernel');
  const files = {
    kernel: join(final, 'vmlinuz'),
    initrd: join(final, 'initrd.img'),
    modules: join(final, 'modules'),
  };
  if (await exists(files.initrd)) return files;
  await mkdir(cacheFolder, { recursive: true });
  const work = await mkdtemp(join(cacheFolder, 'kernel-'));
  try {
    await unpackKernel(work, signal);
    await buildInitramfs(work);
    await rename(join(work, 'out'), final).catch(async (error: NodeJS.ErrnoException) => {
      // Somebody else finished the same work first: theirs is as good.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    return files;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function unpackKernel(work: string, signal?: AbortSignal): Promise<void> {
  const options = signal ? { cwd: work, signal } : { cwd: work };
  const depends = await command('apt-cache', ['depends', 'linux-image-cloud-amd64'], options);
  const name = depends
    .match(/linux-image-\S+-cloud-amd64/g)
    ?.find((entry) => entry !== 'linux-image-cloud-amd64');
  if (!name) {
    throw new StandbyError({
      code: 'KERNEL_PACKAGE_UNKNOWN',
      what: "Debian's cloud kernel package was not found.",
      why: '`apt-cache depends linux-image-cloud-amd64` names none.',
      next: 'Run `apt-get update` as root, then try again.',
    });
  }
  await command('apt-get', ['download', name], options);
  const file = (await readdir(work)).find((entry) => entry.endsWith('.deb'));
  if (!file) throw new Error(`apt-get download ${name} left no package`);
  await command('dpkg-deb', ['-x', file, 'package'], options);
  await mkdir(join(work, 'out/modules'), { recursive: true });
  const boot = join(work, 'package/boot');
  const kernel = (await readdir(boot)).find((entry) => entry.startsWith('vmlinuz-'));
  if (!kernel) throw new Error(`${name} holds no kernel`);
  await copyFile(join(boot, kernel), join(work, 'out/vmlinuz'));
  await keepModules(join(work, 'package'), kernel.slice('vmlinuz-'.length), join(work, 'out/modules'));
}

/** Only the drivers the master needs: 100 MB of modules would only make the disk larger. */
async function keepModules(packageFolder: string, version: string, target: string): Promise<void> {
  const from = join(packageFolder, 'lib/modules', version);
  const to = join(target, version);
  await mkdir(join(to, 'kernel'), { recursive: true });
  for (const name of await readdir(from)) {
    if (name.startsWith('modules.')) await copyFile(join(from, name), join(to, name));
  }
  const wanted = new Set(MODULES.map((name) => `${name}.ko`));
  for (const entry of await readdir(join(from, 'kernel'), { recursive: true })) {
    const name = entry.split('/').pop() ?? '';
    if (wanted.has(name)) await copyFile(join(from, 'kernel', entry), join(to, 'kernel', name));
  }
  const base = join(target, '..', 'depmod');
  await mkdir(join(base, 'lib'), { recursive: true });
  await symlink(target, join(base, 'lib/modules'));
  await command('depmod', ['-b', base, version]);
  await rm(base, { recursive: true });
}

async function buildInitramfs(work: string): Promise<void> {
  const tree = await mkdtemp(join(work, 'initramfs-'));
  try {
    for (const folder of ['bin', 'proc', 'sys', 'dev', 'mnt', 'lib']) await mkdir(join(tree, folder));
    await copyFile('/bin/busybox', join(tree, 'bin/busybox'));
    for (const tool of INITRAMFS_TOOLS) await symlink('busybox', join(tree, 'bin', tool));
    await command('cp', ['-a', join(work, 'out/modules'), join(tree, 'lib/modules')]);
    await copyFile(join(import.meta.dirname, 'master/initramfs-init.sh'), join(tree, 'init'));
    await chmod(join(tree, 'init'), 0o755);
    const pack = 'find . -print0 | sort -z | cpio -0 -o -H newc --quiet --owner 0:0 | gzip -1 > "$1"';
    await command('sh', ['-c', pack, 'sh', join(work, 'out/initrd.img')], { cwd: tree });
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}

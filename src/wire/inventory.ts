import { z } from 'zod';
import { bytes, id, text } from './fields.ts';

/** What a master says of itself, in its hello and when it joins. */
const volumeSchema = z.object({
  id: z.string().max(160),
  offsetBytes: bytes,
  sizeBytes: bytes,
  fileSystem: z.enum(['ext4', 'ext3', 'ext2', 'vfat', 'ntfs', 'xfs', 'swap', 'unknown']),
  label: z.string().max(256).optional(),
  usedBytes: bytes.optional(),
  system: z.boolean(),
});

export const inventorySchema = z.object({
  hostName: z.string().min(1).max(255),
  os: z.object({ family: z.enum(['linux', 'windows']), name: z.string().max(255) }),
  firmware: z.enum(['bios', 'uefi']),
  disks: z
    .array(
      z.object({
        id,
        path: text,
        sizeBytes: bytes,
        logicalSectorBytes: bytes,
        partitionTable: z.enum(['gpt', 'mbr', 'none']),
        boot: z.boolean(),
        volumes: z.array(volumeSchema).max(256),
        tableId: z.string().max(64).optional(),
      }),
    )
    .max(64),
  nics: z
    .array(
      z.object({
        id,
        name: z.string().max(64),
        mac: z.string().max(32).optional(),
        addresses: z.array(z.string().max(64)).max(64),
        networks: z.array(z.string().max(68)).max(64).optional(),
        gateways: z.array(z.string().max(64)).max(16).optional(),
        dnsServers: z.array(z.string().max(64)).max(16).optional(),
        dhcp: z.boolean().optional(),
      }),
    )
    .max(64),
  /** How the disks are served, when they are (`standby engine master --nbd`). */
  nbd: z
    .array(z.object({ diskId: id, uri: text }))
    .max(64)
    .optional(),
  /** Another one after each reboot of the machine that the engine runs on. */
  bootId: z.string().max(64).optional(),
  timeZone: z.string().max(128).optional(),
  notices: z
    .array(z.object({ code: z.string().max(64), found: z.string().max(2000) }))
    .max(64)
    .optional(),
  /** Its engine has a command that takes it off the network (`--fence`). */
  fence: z.boolean().optional(),
  takenAtMs: z.number(),
});

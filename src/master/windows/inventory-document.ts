import { z } from 'zod';
import { StandbyError } from '../../errors.ts';

/**
 * What inventory-script.ts answers, checked. PowerShell has its own ways with lists: one of one element may come as
 * the element, an empty one as null, and Windows PowerShell 5.1 may write `{"value": [...], "Count": 2}`.
 */
export function listOf<Item extends z.ZodType>(item: Item) {
  return z.preprocess((value) => {
    if (value === null || value === undefined) return [];
    if (Array.isArray(value)) return value.filter((one) => one !== null);
    const wrapped = z
      .object({ value: z.array(z.unknown()), Count: z.number() })
      .strict()
      .safeParse(value);
    return wrapped.success ? wrapped.data.value : [value];
  }, z.array(item));
}

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');
const flag = z
  .boolean()
  .nullish()
  .transform((value) => value === true);
const count = z.number().int().nonnegative();

const driver = z.object({ start: count.nullish(), override: listOf(count) }).optional();

const documentSchema = z.object({
  os: z.object({
    name: z.string(),
    version: z.string(),
    build: z.coerce.number().int(),
    productType: z.number(),
    language: z.number().nullish(),
    bootedMs: z.number(),
  }),
  hostName: z.string().min(1),
  firmwareType: z.number().nullish(),
  disks: listOf(
    z.object({
      Number: count,
      FriendlyName: text,
      SerialNumber: text,
      UniqueId: text,
      Size: count,
      LogicalSectorSize: count,
      PartitionStyle: z.number(),
      Guid: text,
      Signature: z.number().nullish(),
      BusType: z.number(),
      IsBoot: flag,
      IsSystem: flag,
      IsOffline: flag,
      IsReadOnly: flag,
      IsClustered: flag,
    }),
  ),
  partitions: listOf(
    z.object({
      DiskNumber: count,
      PartitionNumber: count,
      Offset: count,
      Size: count,
      GptType: text,
      MbrType: z.number().nullish(),
      DriveLetter: z.number().nullish(),
      AccessPaths: listOf(z.string()),
      IsBoot: flag,
      IsSystem: flag,
    }),
  ),
  volumes: listOf(
    z.object({
      UniqueId: text,
      DriveLetter: z.number().nullish(),
      DriveType: z.number().nullish(),
      FileSystem: text,
      Size: z.number().nullish(),
      SizeRemaining: z.number().nullish(),
    }),
  ),
  bitlocker: listOf(
    z.object({ DeviceID: z.string(), ProtectionStatus: z.number(), ConversionStatus: z.number().nullish() }),
  ),
  iscsiSessions: listOf(z.object({ IsConnected: flag, TargetNodeAddress: text })),
  nics: listOf(
    z.object({
      index: count,
      name: text,
      description: text,
      mac: text,
      addresses: listOf(z.string()),
      masks: listOf(z.string()),
      gateways: listOf(z.string()),
      dnsServers: listOf(z.string()),
      dnsDomain: text,
      dhcp: flag,
      metric: z.number().nullish(),
    }),
  ),
  teams: listOf(z.object({ name: z.string(), kind: z.enum(['lbfo', 'set']), members: listOf(z.string()) })),
  drivers: z.object({
    storvsc: driver,
    vmbus: driver,
    storflt: driver,
    intelide: driver,
    atapi: driver,
  }),
  pendingReboot: listOf(z.enum(['servicing', 'update', 'renames'])),
  cluster: z.object({
    hive: z.boolean(),
    services: listOf(z.object({ name: z.string(), displayName: text, startMode: text, state: text })),
  }),
  shares: listOf(z.object({ letter: z.string(), remote: text })),
  timeZone: z.string(),
  utcOffsetMinutes: z.number(),
  clockMs: z.number(),
  diskshadow: z.boolean(),
});

export type WindowsDocument = z.infer<typeof documentSchema>;
export type WindowsDisk = WindowsDocument['disks'][number];
export type WindowsPartition = WindowsDocument['partitions'][number];

export function parseWindowsDocument(answer: unknown): WindowsDocument {
  const parsed = documentSchema.safeParse(answer);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new StandbyError({
    code: 'WINDOWS_ANSWER_WRONG',
    what: 'What Windows tells of its disks and networks cannot be understood.',
    why: `At ${issue?.path.join('.') ?? 'its beginning'}: ${issue?.message ?? 'unknown'}.`,
    next: 'Check that WMI answers (winmgmt /verifyrepository), and tell the project what Windows this is.',
  });
}

/** The name under which Windows knows a volume whatever its letter: `\\\\?\\Volume{...}\\`. */
export function volumeNameOf({ AccessPaths }: Pick<WindowsPartition, 'AccessPaths'>): string | undefined {
  return AccessPaths.find((path) => /^\\\\\?\\Volume\{[0-9a-f-]+\}\\$/i.test(path));
}

export function letterOf(letter: number | null | undefined): string | undefined {
  return letter ? `${String.fromCharCode(letter)}:` : undefined;
}

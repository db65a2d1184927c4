import type { z } from 'zod';

/** A health check as files of scenarios and of groups have it; given zod, which is loaded only when a file is read. */
export function healthCheckSchema(zod: typeof z) {
  const port = zod.int('a whole number is needed').min(1, 'at least 1').max(65535, 'at most 65535');
  const path = zod.string({ error: 'a text is needed' }).trim().startsWith('/', 'begins with a slash');
  return zod.discriminatedUnion('kind', [
    zod.strictObject({ kind: zod.literal('tcp'), port }),
    zod.strictObject({
      kind: zod.literal('http'),
      port,
      path,
      expectStatus: zod.int().min(100).max(599),
    }),
  ]);
}

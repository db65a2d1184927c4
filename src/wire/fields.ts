import { z } from 'zod';

/** What fields of many messages are made of, each with its limit. */
export const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/);
export const text = z.string().max(4096);
export const bytes = z.int().min(0);
export const hex = (digits: number) => z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`));
/** A sequence of a change stream: 64 bits, so it travels as decimal digits. */
export const sequence = z.string().regex(/^\d{1,19}$/);
export const digestSchema = z.object({ diskId: id, digest: hex(64), sizeBytes: bytes });

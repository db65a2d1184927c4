import { z } from 'zod';

/** What fields of many messages are made of, each with its limit. */
export const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/);
export const text = z.string().max(4096);
export const bytes = z.int().min(0);

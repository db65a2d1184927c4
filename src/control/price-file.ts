import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { inputError, messageOf } from '../errors.ts';
import { LIST_PRICES, type PriceTable } from '../verify/prices.ts';
import type { Context } from './context.ts';

const amounts = z.record(z.string(), z.number().nonnegative());

const table = z.object({
  date: z.iso.date(),
  currency: z.string().min(1),
  machineHour: amounts,
  windowsCoreHour: z.number().nonnegative(),
  diskGibMonth: amounts,
  publicIpHour: z.number().nonnegative(),
});

/** The file that people gave, else prices.json in the home folder, else ours. */
export async function priceTable(context: Pick<Context, 'homeFolder' | 'pricesFile'>): Promise<PriceTable> {
  const given = context.pricesFile;
  const file = given ?? join(context.homeFolder, 'prices.json');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (given === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return LIST_PRICES;
    throw unreadable(file, messageOf(error));
  }
  const parsed = table.safeParse(parsedJson(file, text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw unreadable(file, `${issue?.path.join('.')}: ${issue?.message}`);
}

function parsedJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw unreadable(file, error.message);
    throw error;
  }
}

function unreadable(file: string, why: string) {
  return inputError(
    'PRICES_UNREADABLE',
    `The price table ${file} cannot be used: ${why}.`,
    'Put it right or take it away; docs/VERIFY.md shows its shape.',
  );
}

import { join } from 'node:path';
import { z } from 'zod';
import { readStateJson, writeStateFile } from '../block/state-file.ts';
import type { Params } from '../wire/messages.ts';

/**
 * Which streams this master was told to keep: one file, whole or not there. A stream stands here only once its origin is
 * durable, so what is read here is safe to go on with. Dies at any line: the appliance asks for what is missing.
 */
const streamSchema = z.object({
  scenarioId: z.string(),
  epoch: z.number(),
  capture: z.string(),
  disks: z.array(
    z.object({
      diskId: z.string(),
      sizeBytes: z.number(),
      excluded: z.array(z.object({ offsetBytes: z.number(), sizeBytes: z.number() })),
    }),
  ),
});
const recordSchema = z.object({ streams: z.array(streamSchema) });

export type KnownStream = z.infer<typeof streamSchema>;

const pathOf = (stateFolder: string) => join(stateFolder, 'live.json');

export async function readKnownStreams(stateFolder: string): Promise<readonly KnownStream[]> {
  return (await readStateJson(pathOf(stateFolder), recordSchema))?.streams ?? [];
}

export function writeKnownStreams(stateFolder: string, streams: readonly KnownStream[]): Promise<void> {
  return writeStateFile(pathOf(stateFolder), JSON.stringify({ streams }));
}

export function knownStreamOf(start: Params<'streamStart'>): KnownStream {
  const { scenarioId, epoch, capture, disks } = start;
  return { scenarioId, epoch, capture, disks };
}

/** Whether what goes on is what began. */
export function isSameStream(a: KnownStream | undefined, b: KnownStream): boolean {
  return a !== undefined && JSON.stringify(streamSchema.parse(a)) === JSON.stringify(streamSchema.parse(b));
}

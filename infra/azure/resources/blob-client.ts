import type {
  BlobServiceClient,
  StoragePipelineOptions,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { StandbyError } from '../../../src/errors.ts';
import type { Azure } from '../azure.ts';

/**
 * The blob SDK's options do not name `tlsOptions`, but hand what they do not know to the same pipeline builder as
 * the other SDKs, which does. So the account's own CA is trusted here as well, and nothing else is loosened.
 */
function pipelineOptions(azure: Azure): StoragePipelineOptions {
  const { caPem } = azure.endpoints;
  const options: StoragePipelineOptions & { tlsOptions?: { ca: string } } = {
    retryOptions: { maxTries: 4, retryDelayInMs: 500, maxRetryDelayInMs: 8_000 },
    ...(caPem === undefined ? {} : { tlsOptions: { ca: caPem } }),
  };
  return options;
}

export async function blobServiceClient(
  azure: Azure,
  url: string,
  credential: StorageSharedKeyCredential,
): Promise<BlobServiceClient> {
  const { BlobServiceClient, newPipeline } = await import('@azure/storage-blob');
  return new BlobServiceClient(refuseHttp(url), newPipeline(credential, pipelineOptions(azure)));
}

/** The end of what is behind a URL that carries its own permission (a SAS); undefined when it is not there. */
export async function readBlobTail(
  azure: Azure,
  url: string,
  lengthMax: number,
): Promise<Buffer | undefined> {
  const { AnonymousCredential, BlobClient, newPipeline } = await import('@azure/storage-blob');
  const client = new BlobClient(
    refuseHttp(url),
    newPipeline(new AnonymousCredential(), pipelineOptions(azure)),
  );
  const answer = await azure.calls.find('The blob could not be read.', () => client.download());
  if (!answer?.readableStreamBody) return undefined;
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of answer.readableStreamBody) {
    const bytes = Buffer.from(part);
    parts.push(bytes);
    length += bytes.length;
    while (length - (parts[0]?.length ?? 0) >= lengthMax) length -= parts.shift()?.length ?? 0;
  }
  const tail = Buffer.concat(parts);
  return tail.subarray(Math.max(0, tail.length - lengthMax));
}

function refuseHttp(url: string): string {
  if (url.startsWith('https://')) return url;
  throw new StandbyError({
    code: 'URL_NOT_HTTPS',
    what: 'Azure gave a storage address that is not https.',
    next: 'Require secure transfer on the storage account.',
  });
}

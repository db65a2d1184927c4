import { readFile } from 'node:fs/promises';
import { inputError, messageOf } from '../errors.ts';
import { TSIG_ALGORITHMS, type TsigAlgorithm } from '../model/redirect.ts';
import type { Answers } from '../ports/host.ts';
import { textOf } from './screen.ts';

/** The shared key of dynamic DNS updates. It comes in a file and never through an argument; it is stored encrypted. */
export interface RedirectKey {
  readonly name: string;
  readonly algorithm: TsigAlgorithm;
  /** Base64, as DNS servers write it. */
  readonly secret: string;
}

/** In place of a file: the key that the scenario has already. */
export const KEY_IS_KEPT = 'kept';
const FILE_BYTES_MAX = 8 * 1024;

/** Where a scenario's key lies among the encrypted secrets. */
export function redirectKeyName(scenarioId: string): string {
  return `scenario/${scenarioId}/redirect-key`;
}

/** Undefined when the answers name no file, or the key that is there already. */
export async function keyFromAnswers({ redirect, dnsKeyFile }: Answers): Promise<RedirectKey | undefined> {
  const file = textOf(dnsKeyFile);
  if (redirect !== 'dns-update' || file === '' || file === KEY_IS_KEPT) return undefined;
  return readRedirectKey(file);
}

/** A file as `tsig-keygen` writes it: `key "name" { algorithm hmac-sha256; secret "..."; };` */
export async function readRedirectKey(file: string): Promise<RedirectKey> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw inputError('KEY_FILE_UNREADABLE', `The key file ${file} cannot be read: ${messageOf(error)}.`);
  }
  const [, name, body = ''] = /^\s*key\s+"?([\w.-]+)"?\s*\{([^{}]*)\}\s*;?\s*$/.exec(text) ?? [];
  const algorithm = /\balgorithm\s+"?([\w-]+)"?\s*;/.exec(body)?.[1]?.toLowerCase();
  const secret = /\bsecret\s+"?([A-Za-z0-9+/=]+)"?\s*;/.exec(body)?.[1];
  const known = TSIG_ALGORITHMS.find((one) => one === algorithm);
  if (text.length <= FILE_BYTES_MAX && name !== undefined && secret !== undefined && known)
    return { name, algorithm: known, secret };
  throw inputError(
    'KEY_FILE_INVALID',
    `${file} holds no key that can be used.`,
    `Write it with: tsig-keygen -a hmac-sha256 NAME > FILE (algorithms: ${TSIG_ALGORITHMS.join(', ')}).`,
  );
}

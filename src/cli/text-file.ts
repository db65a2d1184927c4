import { readFile } from 'node:fs/promises';
import { inputError, messageOf } from '../errors.ts';
import type { Call } from './command.ts';

/** The file that is the command's first argument; `-` is standard input. */
export async function textOfFile(call: Call): Promise<string> {
  const file = String(call.args[0]);
  if (file === '-') {
    const chunks: Buffer[] = [];
    for await (const chunk of call.shell.stdin) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks).toString('utf8');
  }
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw inputError('FILE_UNREADABLE', `${file} cannot be read: ${messageOf(error)}.`);
  }
}

import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { parse } from 'yaml';
import { isObject, type JsonObject } from '../arm/json.ts';

/**
 * As much of cloud-init as an appliance's user data needs: write_files and runcmd of a #cloud-config, with every
 * path below a folder that stands for the guest's root. Nothing is ever written outside of that folder.
 */
export interface CloudConfig {
  readonly files: readonly CloudFile[];
  readonly commands: readonly (readonly string[])[];
}
interface CloudFile {
  readonly path: string;
  readonly content: Buffer;
  readonly mode: number;
  readonly append: boolean;
}

function fileOf(entry: unknown): CloudFile {
  if (!isObject(entry) || typeof entry.path !== 'string')
    throw new Error('write_files has an entry without a path.');
  const encoding = typeof entry.encoding === 'string' ? entry.encoding : 'text/plain';
  const text = typeof entry.content === 'string' ? entry.content : '';
  const isBase64 = ['b64', 'base64'].includes(encoding);
  if (!isBase64 && encoding !== 'text/plain')
    throw new Error(`write_files: encoding ${encoding} is not known here.`);
  const mode = typeof entry.permissions === 'string' ? Number.parseInt(entry.permissions, 8) : 0o644;
  return {
    path: entry.path,
    content: Buffer.from(text, isBase64 ? 'base64' : 'utf8'),
    mode,
    append: entry.append === true,
  };
}

function commandOf(entry: unknown): readonly string[] {
  if (typeof entry === 'string') return ['sh', '-c', entry];
  if (Array.isArray(entry) && entry.length > 0) return entry.map(String);
  throw new Error('runcmd has an entry that is neither a line nor a list.');
}

/** Base64 as Azure hands it over. */
export function parseCloudConfig(userData: string): CloudConfig {
  const text = Buffer.from(userData, 'base64').toString('utf8');
  if (!/^#cloud-config\s/.test(text)) throw new Error('The user data does not begin with #cloud-config.');
  const config: unknown = parse(text);
  if (!isObject(config)) throw new Error('The user data holds no settings.');
  const list = (value: JsonObject[string]) => (Array.isArray(value) ? value : []);
  return { files: list(config.write_files).map(fileOf), commands: list(config.runcmd).map(commandOf) };
}

function below(root: string, path: string): string {
  // `/../x` is `/x` in a guest too: its root has nothing above it.
  return join(root, normalize(`/${path}`));
}

export async function writeFiles(root: string, files: readonly CloudFile[]): Promise<void> {
  for (const file of files) {
    const target = below(root, file.path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, file.content, { mode: file.mode, flag: file.append ? 'a' : 'w' });
    // The mode of a new file is cut by the umask.
    await chmod(target, file.mode);
  }
}

/** A command names files of the guest; here they lie below the root. */
export function commandBelow(
  root: string,
  command: readonly string[],
  files: readonly CloudFile[],
): string[] {
  return command.map((word) =>
    files.reduce((text, file) => {
      if (text === file.path) return below(root, file.path);
      return text.includes(' ') ? text.replaceAll(file.path, below(root, file.path)) : text;
    }, word),
  );
}

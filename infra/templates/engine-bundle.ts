import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { StandbyError } from '../../src/errors.ts';

/**
 * `engine.mjs` and the chunks it loads when they are needed: they run `engine appliance` and `engine master`
 * without node_modules. The entry is the product's own src/main.ts, so the appliance understands the same
 * arguments. What an engine never loads stays outside; it is reached by dynamic imports only, and the chunks keep
 * it so (one single file would have to load the outside parts at its start).
 */
const NEVER_IN_AN_ENGINE = [
  /^@azure\//,
  /^@inquirer\//,
  /^(inquirer|azurite|rolldown|listr2|pg|pg-native)$/,
  /(^|\/)\.\.\/(infra|wizards)\//,
];

export interface EngineFile {
  readonly name: string;
  readonly code: string;
}

/** `engine.mjs` first, then the chunks by name: the same sources give the same list. */
export async function bundleEngine(rootFolder: string, entry: string): Promise<readonly EngineFile[]> {
  const { rolldown } = await loadRolldown();
  const build = await rolldown({
    cwd: rootFolder,
    input: { engine: join(rootFolder, entry) },
    platform: 'node',
    external: (id) => isBuiltin(id) || NEVER_IN_AN_ENGINE.some((pattern) => pattern.test(id)),
    logLevel: 'silent',
  });
  try {
    const { output } = await build.generate({
      format: 'esm',
      entryFileNames: '[name].mjs',
      chunkFileNames: 'chunks/[name]-[hash].mjs',
    });
    const files = output.map((part) => {
      if (part.type === 'chunk') return { name: part.fileName, code: part.code };
      throw new Error(`the bundler made ${part.fileName}, which is no code`);
    });
    const [engine, ...chunks] = files.sort(
      (left, right) => order(left) - order(right) || compare(left, right),
    );
    if (engine?.name !== 'engine.mjs') throw new Error('the bundler made no engine.mjs');
    return [engine, ...chunks];
  } finally {
    await build.close();
  }
}

function order(file: EngineFile): number {
  return file.name === 'engine.mjs' ? 0 : 1;
}

function compare(left: EngineFile, right: EngineFile): number {
  return left.name < right.name ? -1 : 1;
}

async function loadRolldown(): Promise<typeof import('rolldown')> {
  try {
    return await import('rolldown');
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new StandbyError({
      code: 'BUNDLER_MISSING',
      what: 'The engine’s bundle cannot be made.',
      why: 'The package rolldown is not installed.',
      next: 'Run npm ci in the folder of Standby.',
      cause: error,
    });
  }
}

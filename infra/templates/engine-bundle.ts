import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { StandbyError } from '../../src/errors.ts';

/**
 * One JavaScript file that runs `engine appliance` and `engine master` without node_modules. The entry is the
 * product's own src/main.ts, so the appliance understands the same arguments. What an engine never loads stays
 * outside: those parts are reached by dynamic imports only.
 */
const NEVER_IN_AN_ENGINE = [
  /^@azure\//,
  /^@inquirer\//,
  /^(inquirer|azurite|rolldown|listr2|pg|pg-native)$/,
  /(^|\/)\.\.\/(infra|wizards)\//,
];

export async function bundleEngine(rootFolder: string, entry: string): Promise<string> {
  const { rolldown } = await loadRolldown();
  const build = await rolldown({
    cwd: rootFolder,
    input: join(rootFolder, entry),
    platform: 'node',
    external: (id) => isBuiltin(id) || NEVER_IN_AN_ENGINE.some((pattern) => pattern.test(id)),
    logLevel: 'silent',
    treeshake: true,
  });
  try {
    const { output } = await build.generate({
      format: 'esm',
      codeSplitting: false,
      minify: false,
      sourcemap: false,
    });
    const [chunk, ...more] = output;
    if (chunk?.type !== 'chunk' || more.length > 0) {
      throw new StandbyError({
        code: 'BUNDLE_NOT_ONE_FILE',
        what: 'The engine could not be packed into one file.',
        why: `The bundler made ${output.length} files.`,
        next: 'This is a defect of Standby: please report it.',
      });
    }
    return chunk.code;
  } finally {
    await build.close();
  }
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

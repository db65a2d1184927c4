import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A folder that looks like the project to the programs of bin/, with whatever else a test puts there. */
export interface Workshop {
  readonly folder: string;
  path(name: string): string;
  write(name: string, text: string): void;
  remove(): void;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export function makeWorkshop(): Workshop {
  const folder = mkdtempSync(join(tmpdir(), 'standby-bin-'));
  const path = (name: string) => join(folder, name);
  cpSync(join(ROOT, 'bin'), path('bin'), { recursive: true });
  cpSync(join(ROOT, 'package.json'), path('package.json'));
  mkdirSync(path('node_modules'));
  return {
    folder,
    path,
    write(name, text) {
      mkdirSync(dirname(path(name)), { recursive: true });
      writeFileSync(path(name), text);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** As if the Node that runs were too old; the pinned one is this test's own. */
export function pretendOldNode(workshop: Workshop): readonly string[] {
  workshop.write('old.cjs', "Object.defineProperty(process, 'version', { value: 'v20.20.2' });\n");
  const name = `node-${process.platform}-${process.arch}`;
  workshop.write(`node_modules/${name}/package.json`, '{}');
  mkdirSync(workshop.path(`node_modules/${name}/bin`));
  symlinkSync(process.execPath, workshop.path(`node_modules/${name}/bin/node`));
  return ['--require', workshop.path('old.cjs')];
}

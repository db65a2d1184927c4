import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { functionSizes } from './tidy/functions.ts';
import { readSourceTree, type SourceFile } from './tidy/source-tree.ts';

/** The house rules that a machine can see (CONTRIBUTING.md). Each finding names its file. */
const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;

const files = readSourceTree();
const code = files.filter(({ path }) => /^(src|infra|wizards|test|bin)\/.*\.(ts|cjs|sh)$/.test(path));
const product = code.filter(({ path }) => /^(src|infra|wizards)\/.*\.ts$/.test(path));

describe('The house', () => {
  it('is there to be looked at', () => {
    expect(product.length).toBeGreaterThan(20);
    expect(files.map(({ path }) => path)).toContain('package.json');
  });

  it(`has no file of more than ${FILE_LINES_MAX} lines`, () => {
    const lines = ({ text }: SourceFile) => text.trimEnd().split('\n').length;
    expect(code.filter((file) => lines(file) > FILE_LINES_MAX).map(({ path }) => path)).toEqual([]);
  });

  it(`has no function of more than ${FUNCTION_LINES_MAX} lines`, () => {
    const long = product.flatMap(functionSizes).filter(({ lines }) => lines > FUNCTION_LINES_MAX);
    expect(long.map(({ path, line, name, lines }) => `${path}:${line} ${name} has ${lines}`)).toEqual([]);
  });

  it('names files and folders in kebab-case, and none of them after nothing', () => {
    const word = '[a-z0-9]+(-[a-z0-9]+)*';
    const named = new RegExp(`^(${word}/)*${word}(\\.(test|suite))?\\.(ts|cjs|sh|json)$`);
    const empty = /(^|[/-])(utils?|helpers?|managers?|common|misc)([/.-]|$)/;
    expect(code.filter(({ path }) => !named.test(path) || empty.test(path)).map(({ path }) => path)).toEqual(
      [],
    );
  });

  it('uses what has one home only there', () => {
    expect(BANNED.flatMap(findBanned)).toEqual([]);
  });

  it('lists every variation in its folder’s index', () => {
    expect(VARIATIONS.flatMap(({ folder, lists }) => unlisted(folder, lists))).toEqual([]);
  });

  it('opens every engine, wire and step file with what it promises', () => {
    const promising = /^src\/(wire|master|appliance|plan|switchover\/steps|synchronise\/steps)\//;
    const engines = product.filter(({ path, text }) => promising.test(path) && text.split('\n').length > 10);
    expect(engines.length).toBeGreaterThan(20);
    const silent = engines.filter(({ text }) => !text.includes('/**'));
    expect(silent.map(({ path }) => path)).toEqual([]);
  });

  it('names no machine, no registry and no folder of who wrote it', () => {
    const place = /(^|[\s"'`=(:])\/(work|root|tmp|home\/[a-z]+)\/[\w.]|file:\/\/\/(work|root|tmp)/m;
    const registry = /https?:\/\/[^\s"']*(registry|artifactory|nexus|verdaccio|npm-mirror)[^\s"']*/i;
    const found = files.flatMap(({ path, text }) => {
      if (path === 'test/tidy.test.ts') return [];
      const hit = place.exec(text) ?? registry.exec(text);
      return hit === null ? [] : [`${path}: ${hit[0].trim()}`];
    });
    expect(found).toEqual([]);
  });

  it('pins every dependency to one version, and its lock to no place', () => {
    const manifest = JSON.parse(textOf('package.json'));
    const kinds = ['dependencies', 'devDependencies', 'optionalDependencies', 'overrides'];
    const versions = kinds.flatMap((kind) => Object.entries<string>(manifest[kind] ?? {}));
    expect(versions.length).toBeGreaterThan(10);
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([]);
    expect(textOf('package-lock.json')).not.toContain('"resolved"');
  });

  it('has no link in its documents that leads nowhere', () => {
    const broken = files.filter(({ path }) => path.endsWith('.md')).flatMap(brokenLinks);
    expect(broken).toEqual([]);
  });
});

interface Banned {
  readonly what: RegExp;
  /** Paths where it may be. */
  readonly home: RegExp;
  readonly within: readonly SourceFile[];
}

const NOWHERE = /^$/;
const BANNED: readonly Banned[] = [
  { what: /\bconsole\.[a-z]+\(/, home: NOWHERE, within: code },
  { what: /\bprocess\.exit\(/, home: NOWHERE, within: code },
  { what: /\bprocess\.env\b/, home: /^src\/(config|main)\.ts$/, within: product },
  { what: /\bDate\.now\b|\bnew Date\(\)/, home: /^src\/clock\.ts$/, within: product },
  { what: /\b(TODO|FIXME|XXX)\b/, home: /^test\/tidy\.test\.ts$/, within: code },
  { what: /@ts-(ignore|nocheck|expect-error)/, home: /^test\//, within: code },
  { what: /\b(it|describe|test)\.(only|todo)\b/, home: /^test\/tidy\.test\.ts$/, within: code },
];

function findBanned({ what, home, within }: Banned): string[] {
  return within.flatMap(({ path, text }) => {
    if (home.test(path)) return [];
    return withoutComments(path, text)
      .split('\n')
      .flatMap((line, index) => (what.test(line) ? [`${path}:${index + 1} ${what.exec(line)?.[0]}`] : []));
  });
}

/** A comment may say what is forbidden; only a reminder in a comment is one as well. */
function withoutComments(path: string, text: string): string {
  if (!/\.(ts|cjs)$/.test(path)) return text;
  return text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, (comment) =>
    /\b(TODO|FIXME|XXX)\b|@ts-/.test(comment) ? comment : comment.replace(/[^\n]/g, ''),
  );
}

/** Folders where each file is one variation, and the files that list them. */
const VARIATIONS = [
  { folder: 'src/capture', lists: ['src/capture/index.ts'] },
  { folder: 'src/verify/checks', lists: ['src/verify/index.ts'] },
  {
    folder: 'src/switchover/steps',
    lists: [
      'src/switchover/switchover.ts',
      'src/switchover/vm.ts',
      'src/switchover/backup.ts',
      'src/switchover/drill.ts',
      'src/switchover/failback.ts',
    ],
  },
  { folder: 'src/synchronise/steps', lists: ['src/synchronise/synchronise.ts'] },
  { folder: 'wizards', lists: ['wizards/index.ts', 'src/main.ts'] },
  { folder: 'infra/azure/resources', lists: ['infra/azure/cloud.ts'] },
  { folder: 'infra/local/behaviours', lists: ['infra/local/behaviours/index.ts'] },
];

/** Files that neither a list nor a listed file beside them imports. */
function unlisted(folder: string, lists: readonly string[]): string[] {
  const listed = new Set(lists);
  for (const path of listed) {
    for (const target of importsOf(path)) if (target.startsWith(`${folder}/`)) listed.add(target);
  }
  const all = product.filter(({ path }) => path.startsWith(`${folder}/`)).map(({ path }) => path);
  if (all.length === 0) return [`${folder} is empty`];
  return all.filter((path) => !listed.has(path)).map((path) => `${path} is not in ${lists.join(' or ')}`);
}

function importsOf(path: string): string[] {
  const text = product.find((file) => file.path === path)?.text ?? '';
  const specifiers = text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g);
  return [...specifiers].map((match) => posix.join(posix.dirname(path), match[1] ?? ''));
}

function brokenLinks({ path, text }: SourceFile): string[] {
  const known = new Set(files.map((file) => file.path));
  const targets = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map((match) => match[1] ?? '');
  return targets
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => posix.join(posix.dirname(path), target))
    .filter((target) => !known.has(target) && ![...known].some((each) => each.startsWith(`${target}/`)))
    .map((target) => `${path} links to ${target}`);
}

function textOf(path: string): string {
  return files.find((file) => file.path === path)?.text ?? '';
}

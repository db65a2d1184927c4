'use strict';
// The import rules of the house (CONTRIBUTING.md, "Who may import whom"). Imports go one way.
// `a: [b, c]` = files of a may import files of b and c, of a itself, and the five that everybody may.
const EVERYBODY = '^src/(errors|log|clock|in-turn)\\.ts$|^package\\.json$';

const model = 'src/model';
const plan = 'src/plan';
const ports = 'src/ports';
const contracts = [model, plan, ports];
const block = 'src/block';
const guest = 'src/guest';
const capture = 'src/capture';
const wire = 'src/wire';
const switchover = 'src/switchover';
const redirect = 'src/redirect';
const control = 'src/control';

const MAY_IMPORT = {
  [model]: [],
  [plan]: [model],
  [ports]: [model, plan],
  [block]: contracts,
  [guest]: [...contracts, block],
  [capture]: [...contracts, block],
  [wire]: [...contracts, block],
  'src/master': [...contracts, block, guest, capture, wire],
  'src/appliance': [...contracts, block, guest, wire, 'src/journal'],
  'src/seed': [...contracts, block, guest, capture, wire, 'src/master', 'src/appliance'],
  [redirect]: contracts,
  'src/verify': [...contracts, wire],
  [switchover]: [...contracts, wire, 'src/verify', redirect],
  'src/synchronise': [...contracts, wire, 'src/verify', switchover],
  [control]: [
    ...contracts,
    block,
    guest,
    capture,
    wire,
    'src/verify',
    'src/synchronise',
    switchover,
    redirect,
  ],
  // A wizard acts through control only; what a plan will do and what it did is shown by whoever knows it.
  wizards: [...contracts, control, switchover, 'src/cli'],
  infra: contracts,
};

const folder = (path) => `^${path}/`;
const layers = Object.entries(MAY_IMPORT).map(([from, to]) => ({
  name: `${from.replace('src/', '')}-imports-only-what-lies-below`,
  severity: 'error',
  from: { path: folder(from) },
  to: {
    path: '^(src|infra|wizards|test|bin)/|^[^/]+\\.[a-z]+$',
    pathNot: [folder(from), ...to.map(folder), EVERYBODY],
  },
}));

/** A package is at home in one place. */
const at = (name, packages, homes) => ({
  name: `${name}-only-at-home`,
  severity: 'error',
  from: { path: '^(src|infra|wizards)/', pathNot: homes },
  to: { path: `^node_modules/(${packages})(/|$)` },
});

module.exports = {
  forbidden: [
    ...layers,
    {
      name: 'cli-is-wired-by-main',
      comment: 'src/cli is part of the composition root, but infra and wizards come to it through main.ts.',
      severity: 'error',
      from: { path: '^src/cli/' },
      to: { path: '^(infra|wizards|test|bin)/' },
    },
    {
      name: 'nobody-imports-the-shell',
      severity: 'error',
      from: { path: '^(src|infra)/', pathNot: '^src/(cli/|main\\.ts$)' },
      to: { path: '^src/(cli/|main\\.ts$)' },
    },
    {
      name: 'base-imports-nothing',
      severity: 'error',
      from: { path: '^src/(errors|log|clock|config)\\.ts$' },
      to: { path: '^(src|infra|wizards|test|bin)/', pathNot: '^src/errors\\.ts$' },
    },
    {
      name: 'config-is-read-by-the-root',
      severity: 'error',
      from: { path: '^(src|infra|wizards)/', pathNot: '^src/(cli/|main\\.ts$)' },
      to: { path: '^src/config\\.ts$' },
    },
    {
      name: 'no-cycles',
      comment: 'Types may refer to each other; code that runs may not.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'everything-resolves',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    at('azure-sdk', '@azure', ['^infra/azure/']),
    at('prompts', '@?inquirer', ['^wizards/']),
    at('database', 'kysely|pg', ['^src/control/store/']),
    at('commander', 'commander', ['^src/cli/']),
    at('pino', 'pino', ['^src/cli/logging\\.ts$']),
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};

'use strict';
// `npm run conformance -- [--recordings DIR | --examples] [--json]`: how far Local Azure answers as real Azure did.
const { spawnSync } = require('node:child_process');
const { join } = require('node:path');
const { findNode } = require('./pinned-node.cjs');

const SCRIPT = join(__dirname, '..', 'test', 'conformance', 'replay', 'conformance-process.ts');

const { status } = spawnSync(findNode(), [SCRIPT].concat(process.argv.slice(2)), { stdio: 'inherit' });
process.exitCode = status === null ? 1 : status;

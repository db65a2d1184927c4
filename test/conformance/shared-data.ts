import { existsSync } from 'node:fs';
import path from 'node:path';

/**
 * Microsoft's own material (specs, examples, recordings of real traffic) lies beside the checkout and never in it.
 * A plain checkout has none: the tests that need it are then skipped, and their names say why.
 */
const FOLDER = path.join(import.meta.dirname, '..', '..', '..', 'shared', 'azure', 'data');

export const isSharedAbsent = !existsSync(path.join(FOLDER, 'MANIFEST.json'));

/** For the names of tests: bin/test.cjs looks for these words in the names of skipped ones. */
export const WHY_SKIPPED = isSharedAbsent ? ' (skipped: ../shared is absent)' : '';

export const RECORDINGS_FOLDER = path.join(FOLDER, 'recordings');
export const SPECS_FOLDER = path.join(FOLDER, 'rest-api-specs', 'specification');
export const BICEP_FOLDER = path.join(FOLDER, 'bicep-types', 'generated');

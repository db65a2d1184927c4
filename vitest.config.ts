import { defineConfig } from 'vitest/config';

const TRAFFIC = 'test/conformance/traffic.test.ts';

/** Unit and contract tests sit beside what they test under test/; system tests start real processes, two files side by side. */
export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: ['test/system/**', TRAFFIC] },
      },
      // After all others: it judges what they said to Local Azure.
      { extends: true, test: { name: 'traffic', include: [TRAFFIC], testTimeout: 180_000 } },
      {
        extends: true,
        test: {
          name: 'system',
          include: ['test/system/**/*.test.ts'],
          fileParallelism: true,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});

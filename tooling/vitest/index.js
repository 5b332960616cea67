/**
 * The one test configuration of the packages.
 *
 * - Workspace packages are read from their sources (condition `@fwp/source`), so no build is needed first.
 * - `*.test.ts` always runs; `*.slow.test.ts` (training to a threshold, long sweeps) only with CI or FWP_SLOW set.
 * - The counts go to `<package>/.test-results/vitest.json`, which `npm test` sums up.
 */
import { countsReporter } from '@fwp/results/vitest-reporter';
import { defineConfig, mergeConfig } from 'vitest/config';
import { seedFastCheck } from './seed-fast-check.js';
import { softwareGpu } from './software-gpu.js';
import { tfjsInternals } from './tfjs-internals.js';

const conditions = ['@fwp/source', 'import', 'module', 'default'];
const slow = Boolean(process.env['CI'] || process.env['FWP_SLOW']);

/** @type {typeof import('./index.js').tests} */
export const tests = ({ root, name, ...overrides }) =>
  mergeConfig(
    defineConfig({
      root,
      plugins: [seedFastCheck(), tfjsInternals()],
      resolve: { conditions },
      ssr: { resolve: { conditions, externalConditions: ['import', 'module', 'default'] } },
      test: {
        name,
        environment: 'node',
        env: softwareGpu(),
        include: ['test/**/*.test.ts', 'src/**/*.test.ts'],
        exclude: ['**/node_modules/**', '**/dist/**', ...(slow ? [] : ['**/*.slow.test.ts'])],
        benchmark: { include: ['bench/**/*.bench.ts'] },
        testTimeout: 60_000,
        hookTimeout: 60_000,
        // Worker threads inside forked processes behave as in an ordinary program.
        pool: 'forks',
        // All test files of a package share one process, which reads the sources once: about half of the time of most packages.
        // So tests leave backends, environment and modules as they were, and compare counts of tensors with those before. Only
        // where all operations are tested on a GPU, whose backend is gone with its device, each file starts anew.
        isolate: ['all', 'gpu'].includes(process.env['FWP_WEBGPU'] ?? ''),
        passWithNoTests: true,
        reporters: ['default', countsReporter(root)],
      },
    }),
    overrides,
  );

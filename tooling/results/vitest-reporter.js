/**
 * A vitest reporter that writes the counts of a run to `.test-results/vitest.json`. Only runs of a package's whole test
 * task, which turbo starts, are counted; a run of one file by hand is not.
 */
import { writeResults } from './index.js';

export function countsReporter(packageDir) {
  return {
    onTestRunEnd(modules, unhandledErrors) {
      if (!process.env['TURBO_HASH'] || process.argv.includes('bench')) return;
      const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
      for (const module of modules) {
        let failedTests = 0;
        for (const test of module.children.allTests()) {
          const { state } = test.result();
          if (state === 'passed') counts.passed++;
          else if (state === 'failed') failedTests++;
          else counts.skipped++;
        }
        // A file that fails to load, or whose hook fails, has no failed test of its own; it still counts as one.
        if (failedTests === 0 && module.state() === 'failed') failedTests = 1;
        counts.failed += failedTests;
      }
      writeResults(packageDir, 'vitest', counts);
    },
  };
}

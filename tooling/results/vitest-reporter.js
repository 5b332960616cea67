/** A vitest reporter that writes the counts of a run to `.test-results/vitest.json`. */
import { writeResults } from './index.js';

export function countsReporter(packageDir) {
  return {
    onTestRunEnd(modules, unhandledErrors) {
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
      if (process.argv.includes('bench')) return;
      writeResults(packageDir, 'vitest', counts);
    },
  };
}

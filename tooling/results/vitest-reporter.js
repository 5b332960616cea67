/**
 * A vitest reporter that writes the counts of a run to `.test-results/vitest.json`. Only runs of a package's whole test
 * task, which turbo starts, are counted; a run of one file by hand is not.
 */
import { relative } from 'node:path';
import { writeResults } from './index.js';

export function countsReporter(packageDir) {
  return {
    onTestRunEnd(modules, unhandledErrors) {
      if (!process.env['TURBO_HASH'] || process.argv.includes('bench')) return;
      const counts = { passed: 0, skipped: 0 };
      const failures = unhandledErrors.map((error) => messageOf([error]));
      for (const module of modules) {
        const file = relative(packageDir, module.moduleId);
        for (const test of module.children.allTests()) {
          const { state, errors } = test.result();
          if (state === 'passed') counts.passed++;
          else if (state === 'failed') failures.push(`${file}: ${test.fullName}: ${messageOf(errors)}`);
          else counts.skipped++;
        }
        // A file that fails to load, or whose hook fails, has no failed test of its own.
        for (const suite of [module, ...module.children.allSuites()]) {
          if (suite.errors().length > 0)
            failures.push([file, suite.fullName, messageOf(suite.errors())].filter(Boolean).join(': '));
        }
      }
      writeResults(packageDir, 'vitest', { ...counts, failed: failures.length, failures });
    },
  };
}

/** What the first of some errors says. */
function messageOf(errors) {
  return errors?.[0]?.message ?? 'no message';
}

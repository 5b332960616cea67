import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { clearResults, formatResults, readResults, sumResults, totalLine, writeResults } from '../index.js';

let root;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fwp-results-'));
  for (const dir of ['packages/a', 'apps/b']) mkdirSync(join(root, dir), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

test('what was written is read, summed and printed', () => {
  const failures = ['test/a.test.ts: adds: expected 1\n  to be 2'];
  writeResults(join(root, 'packages/a'), 'vitest', { passed: 3, failed: 1, skipped: 0, failures });
  writeResults(join(root, 'apps/b'), 'browser', { passed: 2, failed: 0, skipped: 4, note: 'no browser' });
  writeResults(join(root, 'apps/b'), 'vitest', { passed: 0, failed: 0, skipped: 0 });
  const rows = readResults(root);
  expect(sumResults(rows)).toEqual({ passed: 5, failed: 1, skipped: 4 });
  expect(formatResults(rows).split('\n')).toEqual([
    'failed: packages/a: test/a.test.ts: adds: expected 1 to be 2',
    'packages/a (vitest)  3 passed, 1 failed, 0 skipped',
    'apps/b (browser)     2 passed, 0 failed, 4 skipped  [no browser]',
    '5 passed, 1 failed, 4 skipped',
  ]);
});

test('cleared results are gone, and a checkout without results sums to nothing', () => {
  writeResults(join(root, 'packages/a'), 'vitest', { passed: 3, failed: 0, skipped: 0 });
  clearResults(root);
  expect(readResults(root)).toEqual([]);
  expect(formatResults([])).toBe('0 passed, 0 failed');
});

test('the total names skipped tests only when there are any', () => {
  expect(totalLine({ passed: 2, failed: 0, skipped: 0 })).toBe('2 passed, 0 failed');
  expect(totalLine({ passed: 2, failed: 0, skipped: 1 })).toBe('2 passed, 0 failed, 1 skipped');
});

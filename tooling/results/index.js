/**
 * Result files: every test runner writes `<package>/.test-results/<runner>.json` with `{ passed, failed, skipped }`
 * (if something was skipped as a whole, a `note`; for what failed, `failures`: names and errors), and
 * `npm test` reads them all and prints one table.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const FOLDER = '.test-results';

/** Characters of a failure that are kept: enough for the seed and the counterexample of a property. */
const FAILURE_LENGTH = 500;

/** Writes the counts of one runner. */
export function writeResults(packageDir, runner, { passed, failed, skipped, note, failures = [] }) {
  const folder = join(packageDir, FOLDER);
  mkdirSync(folder, { recursive: true });
  const lines = failures.map((failure) => failure.replace(/\s+/g, ' ').slice(0, FAILURE_LENGTH));
  const counts = { passed, failed, skipped, ...(note ? { note } : {}), ...(lines.length ? { failures: lines } : {}) };
  writeFileSync(join(folder, `${runner}.json`), `${JSON.stringify(counts, null, 2)}\n`);
}

/** The folders of a checkout in which a package may live. */
function packageDirs(root) {
  return ['packages', 'apps', 'tooling'].flatMap((group) => {
    try {
      return readdirSync(join(root, group), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => join(root, group, entry.name));
    } catch {
      return [];
    }
  });
}

/** Removes all result files of a checkout. */
export function clearResults(root) {
  for (const dir of packageDirs(root)) rmSync(join(dir, FOLDER), { recursive: true, force: true });
}

/** Reads all result files of a checkout: one row per package and runner, sorted. */
export function readResults(root) {
  return packageDirs(root).flatMap((dir) => {
    let files = [];
    try {
      files = readdirSync(join(dir, FOLDER)).filter((file) => file.endsWith('.json'));
    } catch {}
    return files.sort().map((file) => ({
      package: relative(root, dir),
      runner: file.slice(0, -'.json'.length),
      ...JSON.parse(readFileSync(join(dir, FOLDER, file), 'utf8')),
    }));
  });
}

/** The sum of several rows. */
export function sumResults(rows) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const row of rows) for (const key of Object.keys(total)) total[key] += row[key] ?? 0;
  return total;
}

/** What failed, by name; the rows as a table, without those that counted nothing; and the sum as its last line. */
export function formatResults(allRows) {
  const rows = allRows.filter((row) => row.passed + row.failed + row.skipped > 0 || row.note);
  const width = Math.max(7, ...rows.map((row) => `${row.package} (${row.runner})`.length));
  const lines = rows.map((row) => {
    const name = `${row.package} (${row.runner})`.padEnd(width);
    const counts = `${row.passed} passed, ${row.failed} failed, ${row.skipped} skipped`;
    return `${name}  ${counts}${row.note ? `  [${row.note}]` : ''}`;
  });
  const failures = rows.flatMap((row) => (row.failures ?? []).map((failure) => `failed: ${row.package}: ${failure}`));
  return [...failures, ...lines, totalLine(sumResults(rows))].join('\n');
}

/** `N passed, N failed`, with `, N skipped` when there are any. */
export function totalLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`;
}

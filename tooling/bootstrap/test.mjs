/**
 * `npm test`: installs, builds and runs every check; ends with a table of what was counted. Arguments after `--` go
 * to turbo, for example `npm test -- --filter=@fwp/core`.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { clearResults, formatResults, readResults, writeResults } from '../results/index.js';
import { checkNode, install, root, turbo } from './workspace.mjs';

/** Tasks that pass or fail as a whole; each run of one in a package counts as one check. */
const CHECKS = ['build', 'build:kernels', 'build:native', 'lint', 'typecheck', 'check:pkg'];
/** Tasks that write their own counts. */
const TESTS = ['test', 'test:conformance', 'test:consumer'];

/** The tasks that turbo ran, with their exit status, from the summary that it wrote. */
function tasksRun() {
  const folder = join(root, '.turbo', 'runs');
  return readdirSync(folder)
    .flatMap((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')).tasks)
    .filter((task) => task.command !== '<NONEXISTENT>')
    .map(({ task, package: name, directory, execution }) => ({
      task,
      name: name === '//' ? 'workspace' : name,
      directory,
      status: execution?.exitCode,
    }));
}

checkNode();
install();
clearResults(root);
rmSync(join(root, '.turbo', 'runs'), { recursive: true, force: true });
mkdirSync(join(root, '.turbo', 'runs'), { recursive: true });
const flags = ['--continue=dependencies-successful', '--concurrency=2', '--summarize', ...process.argv.slice(2)];
const status = await turbo([...CHECKS, ...TESTS, ...flags]);

const tasks = tasksRun();
const checks = tasks.filter(({ task }) => CHECKS.includes(task.replace('//#', '')));
const broken = checks.filter((task) => task.status !== 0);
writeResults(import.meta.dirname, 'checks', {
  passed: checks.length - broken.length,
  failed: broken.length,
  skipped: 0,
  ...(broken.length ? { note: broken.map(({ name, task }) => `${name} ${task}`).join(', ') } : {}),
});
// A test runner that stopped before it could count anything is one failure.
for (const { task, directory, status } of tasks) {
  if (!TESTS.includes(task) || status === 0) continue;
  const rows = readResults(root).filter((row) => row.package === directory && row.failed > 0);
  if (rows.length > 0) continue;
  const counts = { passed: 0, failed: 1, skipped: 0, note: `${task} did not finish` };
  writeResults(join(root, directory), `${task.replace(':', '-')}-status`, counts);
}

const rows = readResults(root);
console.log(`\n${formatResults(rows)}`);
process.exit(status || (rows.some((row) => row.failed > 0) ? 1 : 0));

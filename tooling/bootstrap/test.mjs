/**
 * `npm test`: installs, builds and runs every check; ends with a table of what was counted. Arguments after `--` go
 * to turbo, for example `npm test -- --filter=@fwp/core`.
 */
import { clearResults, formatResults, readResults } from '../results/index.js';
import { checkNode, install, root, turbo } from './workspace.mjs';

const TASKS = [
  'build',
  'lint',
  'typecheck',
  'test',
  'test:conformance',
  'check:pkg',
  'test:consumer',
];

checkNode();
install();
clearResults(root);
const status = await turbo([...TASKS, '--continue', '--concurrency=2', ...process.argv.slice(2)]);
const rows = readResults(root);
console.log(`\n${formatResults(rows)}`);
const failed = rows.some((row) => row.failed > 0);
if (status !== 0 && !failed) console.error('A check that counts no tests failed; see above.');
process.exit(status || (failed ? 1 : 0));
